"""The same tests run against our broker, by TCP and by WebSocket, and against a real Mosquitto."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from broker.contract.address import Address
from broker.contract.engine import Receiver
from broker.engines.embedded import Access, EmbeddedEngine, EmbeddedSettings
from tests.broker.engines.embedded.gateway import gateway_to
from tests.broker.engines.embedded.raw_client import Place, place_at
from tests.support.mosquitto import Mosquitto

LOOPBACK = Address("127.0.0.1", 0)


def websocket_url(engine: EmbeddedEngine) -> str:
    return next(url for url in engine.urls if url.startswith("ws://"))


@contextlib.asynccontextmanager
async def embedded(
    settings: EmbeddedSettings | None = None,
    *,
    receiver: Receiver = lambda _: None,
    filters: tuple[str, ...] = (),
    access: Access | None = None,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[tuple[EmbeddedEngine, Place]]:
    """Our broker, started."""
    engine = EmbeddedEngine(settings or EmbeddedSettings(listen=LOOPBACK), access, clock)
    await engine.start(receiver, filters)
    try:
        async with place_at(int(engine.url.rpartition(":")[2])) as place:
            yield engine, place
    finally:
        await engine.stop()


@contextlib.asynccontextmanager
async def embedded_by_websocket() -> AsyncIterator[Place]:
    """Our broker, with every connection of the place made by WebSocket."""
    async with (
        embedded(EmbeddedSettings(listen=LOOPBACK, websocket=LOOPBACK)) as (engine, _),
        gateway_to(websocket_url(engine)) as port,
        place_at(port) as place,
    ):
        yield place


@contextlib.asynccontextmanager
async def real_mosquitto(folder: Path, *lines: str) -> AsyncIterator[Place]:
    """A Mosquitto, started."""
    with Mosquitto(folder, *lines) as mosquitto:
        async with place_at(mosquitto.port) as place:
            yield place


@pytest.fixture(params=["embedded", "websocket", "mosquitto"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A broker without settings of its own: ours, by TCP and by WebSocket, and then Mosquitto."""
    async with contextlib.AsyncExitStack() as stack:
        match request.param:
            case "embedded":
                _, place = await stack.enter_async_context(embedded())
            case "websocket":
                place = await stack.enter_async_context(embedded_by_websocket())
            case _:
                place = await stack.enter_async_context(real_mosquitto(tmp_path))
        yield place
