"""What tests of several packages use."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mosquitto import Mosquitto

# A suite that was started with nohup would hand it on, and no program of ours then ends at SIGHUP.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto of the test's own, started."""
    with Mosquitto(tmp_path) as broker:
        yield broker
