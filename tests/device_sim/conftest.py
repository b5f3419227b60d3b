from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.scripted_node import ScriptedNode


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def node(mosquitto: Mosquitto) -> AsyncIterator[ScriptedNode]:
    async with ScriptedNode(mosquitto.url) as node:
        yield node
