"""How much a client may ask of the broker, and what becomes of the rest: dropped, and counted."""

import asyncio
import socket
from dataclasses import replace

import pytest

from broker.contract.message import Message
from broker.engines.embedded import EmbeddedSettings
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PINGREQ,
    PINGRESP,
    PUBLISH,
    Arrived,
    Closed,
    RawClient,
    connect_packet,
    packet,
    publish_packet,
)
from tests.support.eventually import eventually

BASIC = EmbeddedSettings(listen=LOOPBACK)


async def let_in(client: RawClient) -> bool:
    """Whether the broker answers a CONNECT with a welcome."""
    client.send(connect_packet(""))
    try:
        return (await client.expect(CONNACK)).body == b"\0\0"
    except Closed:
        return False


async def test_who_does_not_connect_is_closed() -> None:
    """Also one that sends its CONNECT too slowly."""
    async with embedded(replace(BASIC, connect_timeout=0.1)) as (_, place):
        silent, slow = await place.open(), await place.open()
        slow.send(connect_packet("slow")[:5])
        assert await silent.closed()
        assert await slow.closed()


async def test_a_packet_that_is_too_large_is_refused_by_its_header() -> None:
    async with embedded(replace(BASIC, max_packet=1000)) as (_, place):
        client = await place.connect()
        client.send(publish_packet("a", bytes(1001))[:3])
        assert await client.closed()


async def test_an_unknown_client_cannot_announce_a_large_packet() -> None:
    async with embedded() as (_, place):
        client = await place.open()
        client.send(b"\x10\x80\x80\x80\x01")
        assert await client.closed()


async def test_a_broker_takes_so_many_connections_and_no_more() -> None:
    """One that leaves makes room for another."""
    async with embedded(replace(BASIC, connections=2)) as (engine, place):
        clients = [await place.connect() for _ in range(2)]
        assert not await let_in(await place.open())
        assert engine.counters.connections_refused == 1
        await clients[0].disconnect()
        await place.connect()


async def test_one_address_may_have_so_many_connections() -> None:
    async with embedded(replace(BASIC, connections_per_address=1)) as (engine, place):
        first = await place.connect()
        assert not await let_in(await place.open())
        elsewhere = RawClient(
            *await asyncio.open_connection("127.0.0.1", place.port, local_addr=("127.0.0.2", 0))
        )
        place.stack.callback(elsewhere.drop)
        assert await let_in(elsewhere)
        await first.disconnect()
        await place.connect()
        assert engine.counters.connections_refused == 1


async def test_there_are_so_many_sessions_and_no_more() -> None:
    """Whose session is there already is still let in."""
    async with embedded(replace(BASIC, sessions=1)) as (_, place):
        client = await place.connect("me", clean=False)
        await client.disconnect()
        other = await place.open()
        other.send(connect_packet("other"))
        assert (await other.expect(CONNACK)).body == b"\0\3"
        await place.connect("me", clean=False, present=True)


async def test_a_client_may_have_so_many_subscriptions() -> None:
    """The next one fails; those that are there can still change."""
    async with embedded(replace(BASIC, subscriptions=2)) as (_, place):
        client = await place.connect()
        assert await client.subscribe(("a", 0), ("b", 0), ("c", 0), ("a", 1)) == [0, 0, 0x80, 1]
        await client.unsubscribe("b")
        assert await client.subscribe(("c", 2)) == [2]


@pytest.mark.parametrize("keepalive", [0, 61])
async def test_a_keepalive_that_is_too_long_is_refused(keepalive: int) -> None:
    """None at all is the longest; CONNACK 2, since MQTT 3.1.1 has no code for it."""
    async with embedded(replace(BASIC, keepalive_maximum=60)) as (engine, place):
        client, other = await place.open(), await place.open()
        client.send(connect_packet("a", keepalive=keepalive))
        assert (await client.expect(CONNACK)).body == b"\0\2"
        assert await client.closed()
        other.send(connect_packet("b", keepalive=60))
        assert (await other.expect(CONNACK)).body == b"\0\0"
        assert engine.counters.connections_refused == 1


@pytest.mark.parametrize(
    "wrong", ["a" * 65, "a/" * 8 + "a", "a/" * 300 + "a"], ids=["bytes", "levels", "many"]
)
async def test_a_topic_may_be_so_long_and_so_deep(wrong: str) -> None:
    """A filter beyond it is refused, a topic ends the connection; at the bound both are taken."""
    right = "a/" * 7 + "a" * 50
    async with embedded(replace(BASIC, topic_bytes=64, topic_levels=8)) as (engine, place):
        client = await place.connect()
        assert await client.subscribe((wrong, 0), (right, 0)) == [0x80, 0]
        await client.publish(right, b"x", qos=1)
        assert [one.topic for one in await client.pending()] == [right]
        client.send(publish_packet(wrong, b"x"))
        assert await client.closed()
        assert engine.counters.protocol_errors == 1


@pytest.mark.parametrize(
    "limits", [{"queue_messages": 5}, {"queue_bytes": 5 * 1200}], ids=["messages", "bytes"]
)
async def test_so_much_waits_for_an_absent_client(limits: dict[str, int]) -> None:
    """What came first is kept; what finds no room is dropped and counted."""
    async with embedded(replace(BASIC, **limits)) as (engine, place):  # type: ignore[arg-type]
        client = await place.connect("me", clean=False)
        await client.subscribe(("a", 1))
        await client.disconnect()
        sender = await place.connect()
        for number in range(8):
            await sender.publish("a", b"%1000d" % number, qos=1)
        client = await place.connect("me", clean=False, present=True)
        assert await client.pending() == [Arrived("a", b"%1000d" % number, 1) for number in range(5)]
        assert engine.counters.dropped_full == engine.counters.dropped == 3


async def test_what_waited_for_too_long_is_not_sent() -> None:
    async with embedded(replace(BASIC, queue_age=0.0)) as (engine, place):
        client = await place.connect("me", clean=False)
        await client.subscribe(("a", 1))
        await client.disconnect()
        sender = await place.connect()
        await sender.publish("a", b"x", qos=1)
        client = await place.connect("me", clean=False, present=True)
        assert await client.pending() == []
        assert engine.counters.dropped_old == 1


async def test_retained_messages_have_a_bound() -> None:
    """A topic that has one already may always have a new one of the same size."""
    async with embedded(replace(BASIC, retained_messages=2, sys_interval=0.0)) as (engine, place):
        client = await place.connect()
        for topic in ("a", "b", "c", "a"):
            await client.publish(topic, b"x", qos=1, retain=True)
        await client.subscribe(("+", 0))
        assert {one.topic for one in await client.pending()} == {"a", "b"}
        assert engine.counters.dropped_retained == 1
        # What the node says of itself is kept in any case, what it says for others is not.
        await client.unsubscribe("+")
        for topic in ("home/plug1/energy", "fog/nodes/a/state"):
            engine.publish(Message(topic=topic, payload=b"x", retain=True))
        await client.subscribe(("#", 0))
        assert {one.topic for one in await client.pending()} == {"a", "b", "fog/nodes/a/state"}
        assert engine.counters.dropped_retained == 2


async def test_the_retained_states_of_bridges_have_the_same_bound() -> None:
    """They are below `$SYS`, but it is clients that publish them."""
    async with embedded(replace(BASIC, retained_messages=2, sys_interval=0.0)) as (engine, place):
        client = await place.connect()
        for number in range(5):
            topic = f"$SYS/broker/connection/{number}/state"
            await client.publish(topic, b"1", qos=1, retain=True)
        await client.subscribe(("$SYS/#", 0))
        assert len(await client.pending()) == 2
        assert engine.counters.dropped_retained == 3


async def stalled(port: int, filter: str, qos: int) -> tuple[asyncio.StreamWriter, RawClient]:
    """A client that has subscribed and reads nothing more, with a small window."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=raw)
    client = RawClient(reader, writer)
    client.send(connect_packet("stalled"))
    await client.expect(CONNACK)
    await client.subscribe((filter, qos))
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    return writer, client


async def test_a_stalled_client_loses_messages_of_qos_0() -> None:
    """They are counted, others get theirs, and those that reached its buffer still arrive whole."""
    async with embedded(replace(BASIC, buffer_bytes=100_000)) as (engine, place):
        writer, slow = await stalled(place.port, "a", 0)
        place.stack.callback(slow.drop)
        reader, sender = await place.connect(), await place.connect()
        await reader.subscribe(("a", 0))
        sent = 0
        while not engine.counters.dropped_slow:
            await sender.publish("a", b"%50000d" % sent)
            sent += 1
            assert len(await reader.pending()) == 1
            assert sent < 1000
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        arrived = await slow.pending()
        assert [int(one.payload) for one in arrived] == list(range(len(arrived)))
        assert len(arrived) == sent - engine.counters.dropped_slow


async def test_a_stalled_client_gets_its_messages_of_qos_1_later() -> None:
    """In order, as far as its queue had room; no more than the window was on its way."""
    async with embedded(replace(BASIC, queue_messages=30)) as (engine, place):
        writer, slow = await stalled(place.port, "a", 1)
        place.stack.callback(slow.drop)
        sender = await place.connect()
        for number in range(60):
            await sender.publish("a", b"%1000d" % number, qos=1)
        assert engine.counters.dropped_full == 10
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert [int(one.payload) for one in await slow.pending()] == list(range(50))


async def test_a_client_that_drops_what_it_cannot_take_gets_what_comes_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is there: it pings."""
    monkeypatch.setattr("broker.engines.embedded.sessions.late.OVERDUE", 0.0)
    async with embedded(replace(BASIC, window=2)) as (engine, place):
        client = await place.connect()
        await client.subscribe(("a", 1))
        for payload in (b"x" * 300, b"y" * 300, b"small"):
            engine.publish(Message(topic="a", payload=payload, qos=1))
        for _ in range(2):
            await client.expect(PUBLISH)
        client.send(packet(PINGREQ))
        await client.expect(PINGRESP)
        assert client.read_publish(await client.expect(PUBLISH)).payload == b"small"


async def test_a_persistent_session_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client is not known any more, and what waited for it is counted."""
    monkeypatch.setattr("broker.engines.embedded.engine.HOUSEKEEPING_INTERVAL", 0.05)
    async with embedded(replace(BASIC, session_expiry=0.5)) as (engine, place):
        client = await place.connect("me", clean=False)
        await client.subscribe(("a", 1))
        await client.disconnect()
        engine.publish(Message(topic="a", payload=b"x", qos=1))
        await eventually(lambda: engine.counters.sessions_expired == 1)
        assert engine.counters.dropped_session == 1
        await place.connect("me", clean=False, present=False)


async def test_a_closed_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine stops although somebody does not read."""
    monkeypatch.setattr("broker.engines.embedded.sockets.listeners.LINGER", 0.2)
    async with embedded() as (engine, place):
        _, slow = await stalled(place.port, "a", 0)
        place.stack.callback(slow.drop)
        for number in range(100):
            engine.publish(Message(topic="a", payload=b"%50000d" % number))
        reader = await place.connect()
        await reader.subscribe(("a", 0))
        engine.publish(Message(topic="a", payload=b"x"))
        await reader.expect(PUBLISH)
        await engine.stop()
        assert not engine.connected


async def test_a_packet_full_of_filters_brings_what_is_retained_once() -> None:
    async with embedded() as (_, place):
        sender = await place.connect("sender")
        for number in range(20):
            await sender.publish(f"r/{number}", b"x", qos=1, retain=True)
        client = await place.connect("greedy")
        assert await client.subscribe(*(("#", 1) for _ in range(5_000))) == [1] * 5_000
        assert len(await client.pending()) == 20
