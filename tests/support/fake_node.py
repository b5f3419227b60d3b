"""A program with a node's command line that answers by script: `--name NAME --listen 127.0.0.1:0 …`."""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from tests.support.mosquitto import Mosquitto
from tests.support.scripted_node import ScriptedNode


async def main(name: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder))
        broker.start()
        try:
            async with ScriptedNode(broker.url):
                print(f"ready {name} {broker.url}", flush=True)
                await stop.wait()
        finally:
            broker.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[sys.argv.index("--name") + 1]))
