"""The same tests run against our broker, by TCP and by WebSocket, and against a real Mosquitto."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broker.contract.address import Address
from broker.contract.engine import Receiver
from broker.engines.embedded import Access, EmbeddedEngine, EmbeddedSettings
from tests.broker.engines.embedded.gateway import gateway_to
from tests.broker.engines.embedded.raw_client import Place, place_at
from tests.support.mosquitto import Mosquitto
from tests.support.programs import running

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


@contextlib.asynccontextmanager
async def some_broker(kind: str, folder: Path) -> AsyncIterator[Place]:
    """A broker without settings of its own."""
    match kind:
        case "embedded":
            async with embedded() as (_, place):
                yield place
        case "websocket":
            async with embedded_by_websocket() as place:
                yield place
        case _:
            async with real_mosquitto(folder) as place:
                yield place


@pytest.fixture(params=["embedded", "websocket", "mosquitto"])
async def broker_of_3(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Ours, by TCP and by WebSocket, and then Mosquitto, for what only clients before MQTT 5 may do."""
    async with some_broker(request.param, tmp_path) as place:
        yield place


@pytest.fixture(params=["embedded", "websocket", "mosquitto", "embedded, MQTT 5"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """The same, and then ours with clients that speak MQTT 5."""
    kind, _, version = request.param.partition(", MQTT ")
    async with some_broker(kind, tmp_path) as place:
        yield replace(place, usual=int(version or 4))


@contextlib.asynccontextmanager
async def killed_afterwards(folder: Path) -> AsyncIterator[Place]:
    """A broker in a process of its own, ended with kill -9."""
    command = ("tests.broker.engines.embedded.stored_broker", str(folder / "broker.db"))
    with running(*command, folder=folder) as program:
        async with place_at(program.port) as place:
            yield place
            program.kill()


@contextlib.asynccontextmanager
async def stopped_afterwards(folder: Path) -> AsyncIterator[Place]:
    """A broker in this process, stopped in good order."""
    async with embedded(EmbeddedSettings(listen=LOOPBACK, store=folder / "broker.db")) as (_, place):
        yield place


class Lives:
    """Makes one life of the broker after the other, all with one store."""

    def __init__(self, folder: Path, *, killed: bool) -> None:
        self._folder = folder
        self._killed = killed

    def next(self) -> contextlib.AbstractAsyncContextManager[Place]:
        return killed_afterwards(self._folder) if self._killed else stopped_afterwards(self._folder)


@pytest.fixture(params=[True, False], ids=["killed", "stopped"])
def lives(request: pytest.FixtureRequest, tmp_path: Path) -> Lives:
    return Lives(tmp_path, killed=request.param)
