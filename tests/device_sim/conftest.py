from collections.abc import AsyncIterator

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.scripted_node import ScriptedNode


@pytest.fixture
async def node(mosquitto: Mosquitto) -> AsyncIterator[ScriptedNode]:
    async with ScriptedNode(mosquitto.url) as node:
        yield node
