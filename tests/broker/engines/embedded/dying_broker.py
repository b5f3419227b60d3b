"""A broker that keeps something and is killed: python -m tests.broker.engines.embedded.dying_broker FILE."""

import os
import signal
import sys
from pathlib import Path

from broker.engines.embedded.sessions.grant import Grant
from broker.engines.embedded.sessions.will import LastWill
from broker.mqtt.packets import Publish, Will
from tests.broker.engines.embedded.unconnected import Broker

PASSED = bytes.fromhex("0101 26000161000162 26000161000163")
GRANTED = Grant.of(1, no_local=True, retain_as_published=True, identifier=70_000)


def main(path: Path) -> None:
    broker = Broker(path=path)
    session, _ = broker.connect5("me", expiry=60.0)
    broker.subscribe(session, "a", GRANTED)
    broker.core.wills.keep(session, LastWill(Will("wills/me", b"gone", 1, retain=True, delay=30)))
    broker.publish(Publish("a", b"x", qos=1, retain=True, expiry=100, passed=PASSED))
    assert broker.store is not None
    broker.store.commit()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
