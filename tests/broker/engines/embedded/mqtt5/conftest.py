"""Our broker, as clients of MQTT 5 find it."""

from collections.abc import AsyncIterator

import pytest

from tests.broker.engines.embedded.conftest import embedded
from tests.broker.engines.embedded.raw_client import Place


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        return self.now


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A broker with the settings that it has by itself."""
    async with embedded() as (_, place):
        yield place
