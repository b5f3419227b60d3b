"""Persistent sessions and retained messages outlive the process, however it ends."""

import contextlib
import math
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broker.contract.message import Message
from broker.engines.embedded import AllowAll, EmbeddedEngine, EmbeddedSettings
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.sessions.grant import GRANTS
from broker.engines.embedded.sqlite_store import SqliteStore
from broker.errors import EngineError
from broker.running_time import Reading, RunningTime
from tests.broker.engines.embedded.conftest import (
    LOOPBACK,
    Lives,
    embedded,
    killed_afterwards,
    stopped_afterwards,
)
from tests.broker.engines.embedded.raw_client import (
    NEVER_EXPIRES,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    Arrived,
    Will,
    publish_packet,
)
from tests.broker.engines.embedded.raw_properties import WILL_DELAY, prop

YEAR = 365 * 24 * 3600.0


async def test_sessions_survive(lives: Lives) -> None:
    """Subscriptions, what waits, and what was on its way, in order and with DUP where it was sent."""
    async with lives.next() as place:
        client = await place.connect("me", clean=False)
        await client.subscribe(("a/+", 2), ("gone", 1), ("$share/g/job", 1))
        await client.unsubscribe("gone")
        sender = await place.connect()
        for number in range(30):
            await sender.publish("a/x", b"%d" % number, qos=1)
        first = await client.ping()
        client.acknowledge(first[0])
        client.acknowledge(first[1])
        await client.ping()
    async with lives.next() as place:
        client = await place.connect("me", clean=False, present=True)
        arrived = await client.pending()
        assert [int(one.payload) for one in arrived] == list(range(2, 30))
        assert [one.dup for one in arrived] == [True] * 20 + [False] * 8
        sender = await place.connect()
        for topic in ("gone", "a/y", "job"):
            await sender.publish(topic, b"new", qos=1)
        assert await client.pending() == [Arrived("a/y", b"new", 1), Arrived("job", b"new", 1)]


async def test_a_qos_2_exchange_goes_on_where_it_stopped(lives: Lives) -> None:
    """On its way to a client, and on its way from one."""
    async with lives.next() as place:
        client = await place.connect("me", clean=False)
        await client.subscribe(("a", 2))
        client.send(publish_packet("a", b"x", qos=2, packet_id=9))
        packets = [await client.receive() for _ in range(2)]
        message = next(one for one in packets if one.kind == PUBLISH)
        client.send_ack(PUBREC, message.packet_id)
        await client.expect(PUBREL)
    async with lives.next() as place:
        client = await place.connect("me", clean=False, present=True)
        assert (await client.expect(PUBREL)).packet_id == message.packet_id
        client.send_ack(PUBCOMP, message.packet_id)
        client.send(publish_packet("a", b"x", qos=2, dup=True, packet_id=9))
        assert [one.kind for one in await client.ping()] == [PUBREC]
        client.send_ack(PUBREL, 9)
        await client.expect(PUBCOMP)
    async with lives.next() as place:
        client = await place.connect("me", clean=False, present=True)
        assert await client.pending() == []


async def test_orders_that_an_earlier_version_retained_are_shown_to_nobody(tmp_path: Path) -> None:
    async with stopped_afterwards(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "broker.db")) as store, store:
        for topic in ("fog/tasks/light/sum/me/1", "fog/cancel/me/1", "fog/nodes/a/state"):
            store.execute(
                "INSERT INTO retained (topic, payload, qos, born, sender) VALUES (?, x'31', 0, 0, 'me')",
                (topic,),
            )
    async with stopped_afterwards(tmp_path) as place:
        client = await place.connect()
        await client.subscribe(("fog/#", 1))
        assert [one.topic for one in await client.pending()] == ["fog/nodes/a/state"]


@pytest.mark.parametrize("lost", ["session", "message", "entry"])
async def test_what_belongs_to_nothing_is_passed_over(tmp_path: Path, lost: str) -> None:
    """A store in which rows are missing is read as far as it makes sense, and tidied up."""
    path = tmp_path / "broker.db"
    async with stopped_afterwards(tmp_path) as place:
        will = Will("gone", b"x", properties=prop(WILL_DELAY, 50))
        client = await place.connect("me", level=5, properties=NEVER_EXPIRES, will=will)
        await client.subscribe(("a", 2))
        await client.publish("a", b"x", qos=1)
        client.send(publish_packet("b", b"x", qos=2, packet_id=9, properties=b""))
        await client.expect(PUBLISH)
        await client.expect(PUBREC)
    with contextlib.closing(sqlite3.connect(path)) as store, store:
        store.execute(f"DELETE FROM {lost}")
    async with stopped_afterwards(tmp_path) as place:
        await place.connect("other", clean=False)
    with contextlib.closing(sqlite3.connect(path)) as store:
        for table in ("subscription", "received", "will", "entry", "message"):
            left = lost != "session" and table not in ("entry", "message")
            assert store.execute(f"SELECT count(*) FROM {table}").fetchone() == (left,), table


async def test_retained_messages_survive(lives: Lives) -> None:
    """The last one of each topic; a cleared one stays cleared."""
    async with lives.next() as place:
        client = await place.connect()
        for topic, payload in (("a", b"1"), ("b", b"1"), ("a", b"2"), ("b", b"")):
            await client.publish(topic, payload, qos=1, retain=True)
    async with lives.next() as place:
        client = await place.connect()
        await client.subscribe(("#", 1))
        assert await client.pending() == [Arrived("a", b"2", 1, retain=True)]


async def test_what_the_node_has_told_for_others_survives(tmp_path: Path) -> None:
    """What it says of itself it says again."""
    settings = EmbeddedSettings(listen=LOOPBACK, store=tmp_path / "broker.db", sys_interval=0.0)
    async with embedded(settings) as (engine, _):
        for topic in ("home/plug1/energy", "home/plug2/energy", "fog/nodes/a/state"):
            engine.publish(Message(topic=topic, payload=b"x", retain=True))
        engine.publish(Message(topic="home/plug2/energy", payload=b"", retain=True))
    async with embedded(settings) as (_, place):
        client = await place.connect()
        await client.subscribe(("#", 1))
        assert [one.topic for one in await client.pending()] == ["home/plug1/energy"]


async def test_an_ended_session_stays_ended(lives: Lives) -> None:
    async with lives.next() as place:
        for client_id in ("me", "clean"):
            client = await place.connect(client_id, clean=client_id == "clean")
            await client.subscribe(("a", 1))
        again = await place.connect("me", clean=True)
        await again.ping()
    async with lives.next() as place:
        await place.connect("me", clean=False, present=False)
        await place.connect("clean", clean=False, present=False)


async def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    """A flood cut off in the middle: no message that got its PUBACK is missing."""
    acknowledged: list[int] = []
    async with killed_afterwards(tmp_path) as place:
        client = await place.connect("me", clean=False)
        await client.subscribe(("a", 1))
        await client.disconnect()
        sender = await place.connect()
        sender.send(
            b"".join(publish_packet("a", b"%d" % number, qos=1, packet_id=number) for number in range(1, 901))
        )
        acknowledged += [(await sender.expect(PUBACK)).packet_id for _ in range(300)]
    async with killed_afterwards(tmp_path) as place:
        client = await place.connect("me", clean=False, present=True)
        arrived = [int(one.payload) for one in await client.pending()]
        assert arrived[:300] == acknowledged
        assert arrived == list(range(1, len(arrived) + 1))


async def test_age_counts_over_a_restart(tmp_path: Path) -> None:
    settings = EmbeddedSettings(listen=LOOPBACK, store=tmp_path / "broker.db")
    async with embedded(settings) as (engine, place):
        client = await place.connect("me", clean=False)
        await client.subscribe(("a", 1))
        await client.disconnect()
        engine.publish(Message(topic="a", payload=b"x", qos=1))
    async with embedded(replace(settings, queue_age=0.0)) as (engine, place):
        client = await place.connect("me", clean=False, present=True)
        assert await client.pending() == []
        assert engine.counters.dropped_old == 1


class Kept:
    """One life of a broker without sockets, on a store that is closed with it."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.store = SqliteStore(path, lambda: None)
        self.core = BrokerCore(EmbeddedSettings(), AllowAll(), self.store, running=clock, clock=clock)
        self.store.restore(self.core)

    def leave_one_waiting(self) -> None:
        """Let the session `me` have something to come back for."""
        session, _ = self.core.sessions.open("me", clean_start=False, expiry=math.inf)
        self.core.router.subscribe(session, "a", GRANTS[1])
        session.leave(self.core.running())
        self.core.router.route(RoutedMessage("a", b"x", qos=1, born=self.core.running()))

    def waiting(self) -> int | None:
        """How much waits for `me` once what is too old has gone; None without a session."""
        self.core.sessions.expire()
        session = self.core.sessions.get("me")
        if session is None:
            return None
        session.proceed()
        return session.waiting


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_clock_that_jumps_ends_no_session_and_drops_nothing(tmp_path: Path, jump: float) -> None:
    """Neither while the broker runs nor between two lives of it."""
    now = wall = 1000.0

    def begun(saved: Reading | None = None) -> RunningTime:
        return RunningTime(saved, wall=lambda: wall, monotonic=lambda: now)

    clock = begun()
    kept = Kept(tmp_path / "broker.db", clock.now)
    kept.leave_one_waiting()
    for _ in range(2):
        wall += jump
        now += 60.0
        assert kept.waiting() == 1
        kept.store.close()
        clock = begun(clock.read())
        kept = Kept(tmp_path / "broker.db", clock.now)
    now += EmbeddedSettings.queue_age
    assert kept.waiting() == 0
    now += EmbeddedSettings.session_expiry
    assert kept.waiting() is None
    kept.store.close()


def test_what_was_kept_by_a_clock_that_was_ahead_counts_as_kept_now(tmp_path: Path) -> None:
    """It grows old from then on, and not a year later, however often the broker starts."""
    ahead = Kept(tmp_path / "broker.db", lambda: 1000.0 + YEAR)
    ahead.leave_one_waiting()
    ahead.store.close()
    old = EmbeddedSettings.queue_age + 1.0
    for now, waiting in ((1000.0, 1), (999.0 + old, 1), (1000.0 + old, 0)):
        kept = Kept(tmp_path / "broker.db", lambda now=now: now)  # type: ignore[misc]
        assert kept.waiting() == waiting
        kept.store.close()
    expired = Kept(tmp_path / "broker.db", lambda: 1001.0 + EmbeddedSettings.session_expiry)
    assert expired.waiting() is None
    expired.store.close()


async def test_what_has_arrived_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    async with embedded(EmbeddedSettings(listen=LOOPBACK, store=path)) as (_, place):
        client = await place.connect("me", clean=False)
        await client.subscribe(("a", 2))
        for qos in (1, 2):
            await client.publish("a", b"x", qos=qos)
        assert len(await client.pending()) == 2
        await client.ping()
    with contextlib.closing(sqlite3.connect(path)) as database:
        for table in ("message", "entry", "received"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_corrupt_file_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broker.db"
    path.write_bytes(content)
    engine = EmbeddedEngine(EmbeddedSettings(listen=LOOPBACK, store=path))
    with pytest.raises(EngineError, match=r"broker\.db cannot be used: .*; move it away") as caught:
        await engine.start(lambda _: None, [])
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


async def test_a_damaged_page_is_told_in_one_sentence(tmp_path: Path) -> None:
    """One that is found only when the sessions are read."""
    path = tmp_path / "broker.db"
    async with embedded(EmbeddedSettings(listen=LOOPBACK, store=path)) as (_, place):
        client = await place.connect()
        for number in range(200):
            await client.publish(f"a/{number}", bytes(1000), qos=1, retain=True)
    content = bytearray(path.read_bytes())
    content[40_000:60_000] = b"\xff" * 20_000
    path.write_bytes(content)
    engine = EmbeddedEngine(EmbeddedSettings(listen=LOOPBACK, store=path))
    with pytest.raises(EngineError, match=r"broker\.db cannot be used: .*; move it away"):
        await engine.start(lambda _: None, [])


async def test_much_is_there_again(tmp_path: Path) -> None:
    """A thousand sessions with ten messages each, as the first client finds them."""
    settings = EmbeddedSettings(listen=LOOPBACK, store=tmp_path / "broker.db")
    async with embedded(settings) as (engine, place):
        for number in range(1000):
            client = await place.connect(f"c{number}", clean=False)
            await client.subscribe(("all", 1))
            await client.disconnect()
        for number in range(10):
            stored = engine.publish(Message(topic="all", payload=b"%d" % number, qos=1))
            if stored is not None:
                await stored
    async with embedded(settings) as (_, place):
        client = await place.connect("c999", clean=False, present=True)
        assert len(await client.pending()) == 10


async def test_nothing_is_told_before_it_is_kept(tmp_path: Path) -> None:
    """Where the store fails, the client is cut off without its acknowledgement, and the broker goes on."""
    path = tmp_path / "broker.db"
    async with embedded(EmbeddedSettings(listen=LOOPBACK, store=path)) as (_, place):
        absent = await place.connect("absent", clean=False)
        await absent.subscribe(("a", 1))
        await absent.disconnect()
        sender = await place.connect()
        blocker = sqlite3.connect(path, isolation_level=None)
        with contextlib.closing(blocker):
            blocker.execute("BEGIN EXCLUSIVE")
            sender.send(publish_packet("a", b"x", qos=1))
            assert await sender.closed(patience=20.0)
            blocker.execute("ROLLBACK")
        client = await place.connect("absent", clean=False, present=True)
        assert {one.payload for one in await client.pending()} <= {b"x"}
