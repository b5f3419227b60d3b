"""What tests of several packages use."""

import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.mosquitto import Mosquitto
from tests.support.rabbitmq import RabbitMQ

# A busy machine is slow, and no test asserts a time.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# A suite that was started with nohup, or in the background of a script, would hand on that these are ignored.
for one in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(one) is signal.SIG_IGN:
        signal.signal(one, signal.default_int_handler if one is signal.SIGINT else signal.SIG_DFL)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto of the test's own, started."""
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A RabbitMQ of the module's own, started, which takes some seconds: its tests share it."""
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as broker:
        yield broker


@pytest.fixture
def request_id() -> str:
    """An id that no other test uses."""
    return secrets.token_hex(6)
