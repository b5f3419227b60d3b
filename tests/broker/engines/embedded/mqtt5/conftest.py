"""Our broker, as clients of MQTT 5 find it."""

from collections.abc import AsyncIterator

import pytest

from tests.broker.engines.embedded.conftest import embedded
from tests.broker.engines.embedded.raw_client import Place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A broker with the settings that it has by itself."""
    async with embedded() as (_, place):
        yield place
