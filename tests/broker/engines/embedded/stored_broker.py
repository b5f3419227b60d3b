"""A broker with a store, to be killed: `python -m tests.broker.engines.embedded.stored_broker FILE`."""

import asyncio
import sys
from pathlib import Path

from broker.contract.address import Address
from broker.engines.embedded import EmbeddedEngine, EmbeddedSettings
from broker.programs.logs import LogFormat, LogLevel, set_up_logs


async def main(store: Path) -> None:
    # Standard output is for the line that says it is ready.
    set_up_logs(level=LogLevel.WARNING, format=LogFormat.AUTO, program="stored")
    engine = EmbeddedEngine(EmbeddedSettings(listen=Address("127.0.0.1", 0), store=store))
    await engine.start(lambda _: None, [])
    print(f"ready stored {engine.url}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
