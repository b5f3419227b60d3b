"""What the node says and a client cannot take: it waits on disk when memory has no room, within bounds."""

import sqlite3
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.contract.message import Message
from broker.engines.embedded import EmbeddedEngine, EmbeddedSettings
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.raw_client import Place, RawClient
from tests.broker.engines.embedded.raw_properties import USER_PROPERTY, prop
from tests.broker.engines.embedded.test_bounds import stalled
from tests.support.eventually import eventually

SIZES = (700_000, 900_000, 300_000, 300_000, 300_000, 10)
OUTCOMES = [b"%*d" % (size, number) for number, size in enumerate(SIZES)]


@pytest.fixture
def settings(tmp_path: Path) -> EmbeddedSettings:
    """Only the first of the outcomes finds room in memory, and a small one."""
    return EmbeddedSettings(
        listen=LOOPBACK, store=tmp_path / "broker.db", queue_bytes=800_000, buffer_bytes=100_000
    )


def tell(engine: EmbeddedEngine) -> None:
    for number, outcome in enumerate(OUTCOMES):
        engine.publish(Message(topic=f"fog/results/me/{number}", payload=outcome, qos=1))


async def left(place: Place, name: str = "me") -> None:
    """A session whose client is away."""
    client = await place.connect(name, clean=False)
    await client.subscribe(("fog/results/#", 1))
    await client.disconnect()


async def came(client: RawClient) -> list[bytes]:
    return [one.payload for one in await client.pending()]


def rows(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        count: int = connection.execute("SELECT count(*) FROM message").fetchone()[0]
    connection.close()
    return count


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
async def test_what_waits_for_an_absent_client_takes_no_more_memory_than_before(
    settings: EmbeddedSettings,
) -> None:
    """It all comes, in order, when the client is back, also after a restart, and leaves the disk then."""
    async with embedded(settings) as (engine, place):
        await left(place)
        before, _ = tracemalloc.get_traced_memory()
        with capture_logs() as logs:
            for _ in range(4):
                tell(engine)
            await place.connect()
        assert tracemalloc.get_traced_memory()[0] - before < 2_000_000
        assert [(one["event"], one["client"]) for one in logs] == [("messages_on_disk", "me")]
        (trouble,) = engine.trouble
        assert "client me" in trouble
        assert "fog/results/me/" in trouble
    for _ in range(2):
        before, _ = tracemalloc.get_traced_memory()
        async with embedded(settings) as (engine, place):
            assert tracemalloc.get_traced_memory()[0] - before < 2_000_000
            assert "client me" in engine.trouble[0]
    async with embedded(settings) as (engine, place):
        assert await came(await place.connect("me", clean=False, present=True)) == OUTCOMES * 4
        assert (engine.trouble, engine.counters.dropped) == ((), 0)
        assert rows(settings.store or Path()) == 0


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_connected_client_that_reads_slowly_gets_all_of_it(
    settings: EmbeddedSettings, qos: int
) -> None:
    """Whatever the QoS of its subscription: the node says it once, and to be heard."""
    async with embedded(settings) as (engine, place):
        writer, slow = await stalled(place.port, "fog/results/#", qos)
        place.stack.callback(slow.drop)
        other = await place.connect()
        await other.subscribe(("fog/results/#", 1))
        for _ in range(4):
            tell(engine)
        assert await came(other) == OUTCOMES * 4
        await eventually(lambda: "client stalled" in "".join(engine.trouble))
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await came(slow) == OUTCOMES * 4
        assert (engine.trouble, engine.counters.dropped) == ((), 0)
        assert rows(settings.store or Path()) == 0


async def test_a_client_that_leaves_for_good_leaves_nothing_on_disk(settings: EmbeddedSettings) -> None:
    async with embedded(settings) as (engine, place):
        _, slow = await stalled(place.port, "fog/results/#", 1)
        await left(place)
        for _ in range(4):
            tell(engine)
        slow.drop()
        await eventually(lambda: len(engine.trouble) == 1)
        await place.connect("me", clean=True)
        await eventually(lambda: engine.trouble == ())
        assert rows(settings.store or Path()) == 0


@pytest.mark.parametrize("bounds", [{"disk_bytes": 1_000_000}, {"all_disk_bytes": 1_000_000}])
async def test_the_disk_has_a_bound_too(settings: EmbeddedSettings, bounds: dict[str, int]) -> None:
    """What finds no room there either is counted and told, with the topic; what waits still comes."""
    async with embedded(replace(settings, **bounds)) as (engine, place):  # type: ignore[arg-type]
        await left(place)
        with capture_logs() as logs:
            tell(engine)
        assert [one["event"] for one in logs] == ["messages_on_disk", "message_dropped"]
        assert logs[1]["topic"] == "fog/results/me/2"
        assert engine.counters.dropped_full == 3
        assert "3 outcomes found no room in the queue of client me (fog/results/me/4)" in engine.trouble[1]
        expected = [OUTCOMES[0], OUTCOMES[1], OUTCOMES[5]]
        assert await came(await place.connect("me", clean=False, present=True)) == expected
        assert engine.trouble == ()


async def test_only_a_few_clients_are_named_at_once(settings: EmbeddedSettings) -> None:
    async with embedded(settings) as (engine, place):
        for number in range(9):
            await left(place, f"me-{number}")
        tell(engine)
        assert len(engine.trouble) == 4
        assert engine.trouble[-1].startswith("6 more clients")


async def test_other_clients_cannot_fill_the_disk(settings: EmbeddedSettings) -> None:
    async with embedded(settings) as (engine, place):
        await left(place)
        sender = await place.connect()
        for outcome in OUTCOMES:
            await sender.publish("fog/results/me/1", outcome, qos=1)
        assert engine.counters.dropped_full == 4
        assert engine.trouble == ()


async def test_without_a_store_what_finds_no_room_is_told(settings: EmbeddedSettings) -> None:
    async with embedded(replace(settings, store=None)) as (engine, place):
        await left(place)
        tell(engine)
        assert engine.counters.dropped_full == 4
        assert "4 outcomes found no room in the queue of client me" in engine.trouble[0]


@pytest.mark.usefixtures("traced")
async def test_properties_wait_on_disk_as_payloads_do(settings: EmbeddedSettings) -> None:
    """They count for its bounds, take no memory, and come when the client is back, also after a restart."""
    properties = (("trace", "x" * 60_000),)
    settings = replace(settings, disk_bytes=3_000_000)
    async with embedded(settings) as (engine, place):
        await left(place)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(80):
            payload = b"%d" % number
            engine.publish(
                Message(topic="fog/results/me/1", payload=payload, qos=1, user_properties=properties)
            )
        await place.connect()
        assert tracemalloc.get_traced_memory()[0] - before < 1_500_000
        # 13 are in memory.
        assert "2.8 MiB wait on disk" in engine.trouble[0]
        assert engine.counters.dropped_full == 80 - 13 - 49
    before, _ = tracemalloc.get_traced_memory()
    async with embedded(settings) as (engine, place):
        assert tracemalloc.get_traced_memory()[0] - before < 1_500_000
        assert "2.8 MiB wait on disk" in engine.trouble[0]
        client = await place.connect("me", clean=False, present=True, level=5)
        arrived = await client.pending()
        assert [int(one.payload) for one in arrived] == list(range(13 + 49))
        assert {one.properties for one in arrived} == {prop(USER_PROPERTY, *properties)}
        assert (engine.trouble, rows(settings.store or Path())) == ((), 0)
