"""The same tests run against our broker and against a real Mosquitto."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.embedded import Access, EmbeddedEngine, EmbeddedSettings
from broker.engine import Receiver
from broker.settings import Address
from tests.broker.embedded.raw_client import Place, place_at
from tests.support.mosquitto import Mosquitto

LOOPBACK = Address("127.0.0.1", 0)


@contextlib.asynccontextmanager
async def embedded(
    settings: EmbeddedSettings | None = None,
    *,
    receiver: Receiver = lambda _: None,
    filters: tuple[str, ...] = (),
    access: Access | None = None,
) -> AsyncIterator[tuple[EmbeddedEngine, Place]]:
    """Our broker, started."""
    engine = EmbeddedEngine(settings or EmbeddedSettings(listen=LOOPBACK), access)
    await engine.start(receiver, filters)
    try:
        async with place_at(int(engine.url.rpartition(":")[2])) as place:
            yield engine, place
    finally:
        await engine.stop()


@pytest.fixture(params=["embedded", "mosquitto"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A broker without settings of its own: ours, and then Mosquitto."""
    if request.param == "embedded":
        async with embedded() as (_, place):
            yield place
        return
    mosquitto = Mosquitto(tmp_path)
    mosquitto.start()
    try:
        async with place_at(mosquitto.port) as place:
            yield place
    finally:
        mosquitto.stop()
