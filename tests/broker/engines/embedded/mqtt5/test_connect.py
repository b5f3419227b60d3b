"""A client of MQTT 5 comes in, or is told why not."""

import asyncio
import string
from collections.abc import Awaitable, Callable

import pytest

from broker.engines.embedded import AllowAll, EmbeddedEngine, EmbeddedSettings, Login
from broker.engines.embedded.connection import Connection
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.mqtt5.endings import cut_off, refused
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    CONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    Arrived,
    Place,
    Will,
    connect_packet,
    packet,
    publish_packet,
    sized,
    text,
)
from tests.broker.engines.embedded.raw_properties import (
    ALIAS_MAXIMUM,
    ASSIGNED_ID,
    MAXIMUM_PACKET,
    RECEIVE_MAXIMUM,
    SERVER_KEEPALIVE,
    SESSION_EXPIRY,
    SUBSCRIPTION_ID,
    prop,
    props,
)
from tests.broker.engines.embedded.unconnected import Broker, FakeWire

KEPT = prop(SESSION_EXPIRY, 100)
FULL = EmbeddedSettings(listen=LOOPBACK, sessions=2)


class Doorman(AllowAll):
    """Lets in who knows the word; with `later`, after a while."""

    def __init__(self, *, later: bool = False) -> None:
        self._later = later

    def may_connect(self, login: Login) -> bool | asyncio.Future[bool]:
        allowed = login.password in (None, b"right")
        if not self._later or allowed:
            return allowed
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, allowed)
        return future


def connect(flags: int, properties: bytes, *fields: bytes) -> bytes:
    return packet(CONNECT, text("MQTT") + bytes((5, flags, 0, 60)) + properties + b"".join(fields))


ME = text("me")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (connect(0x03, b"\0", ME), 0x81),  # the reserved flag
        (connect(0x1E, b"\0", ME, b"\0", text("t"), text("")), 0x81),  # a will of QoS 3
        (connect(0x82, b"\0", ME), 0x81),  # no user name
        (connect(0x42, b"\0", ME), 0x81),  # no password
        (connect(0x06, b"\0", ME, b"\0", text("t")), 0x81),  # half a will
        (connect(0x02, b"\0"), 0x81),  # no client identifier
        (connect(0x02, b"\0", ME, b"\0"), 0x81),  # bytes left over
        (connect(0x02, sized(2 * prop(RECEIVE_MAXIMUM, 7)), ME), 0x82),
        (connect(0x02, sized(b"\x7f"), ME), 0x81),
        (connect(0x02, sized(prop(ASSIGNED_ID, "me")), ME), 0x81),
        (connect(0x02, sized(prop(RECEIVE_MAXIMUM, 0)), ME), 0x82),
        (connect(0x02, sized(prop(MAXIMUM_PACKET, 0)), ME), 0x82),
        (connect(0x02, b"\4" + prop(RECEIVE_MAXIMUM, 7), ME), 0x81),
        (connect(0x02, b"\2" + prop(RECEIVE_MAXIMUM, 7), ME), 0x81),
        (connect(0x02, b"\0", text("a\x01")), 0x81),
        (connect(0x06, b"\0", ME, b"\0", text("t/#"), text("")), 0x81),
        (connect(0x06, b"\0", ME, b"\0", text("t/" * 300 + "t"), text("")), 0x90),
    ],
)
async def test_a_malformed_connect_is_refused_and_closed(place: Place, data: bytes, reason: int) -> None:
    """With a CONNACK, never with a DISCONNECT; others stay."""
    other = await place.connect(level=5)
    client = await place.open()
    client.send(data)
    assert await refused(client) == reason
    assert await other.ping() == []


Make = Callable[[EmbeddedEngine, Place], Awaitable[bytes]]
"""Brings about that a CONNECT is refused, and gives it."""


async def _full(_: EmbeddedEngine, place: Place) -> bytes:
    await place.connect("another", level=5)
    return connect_packet("new", level=5)


async def _paused(engine: EmbeddedEngine, _: Place) -> bytes:
    await engine.pause()
    return connect_packet("me", clean=False, level=5)


def _sends(data: bytes) -> Make:
    async def send(_engine: EmbeddedEngine, _place: Place) -> bytes:
        return data

    return send


WRONG = connect_packet("me", clean=False, username="u", password="wrong", level=5)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_sends(WRONG), 0x86),
        (_sends(connect_packet("me", clean=False, level=5, properties=prop(MAXIMUM_PACKET, 15))), 0x95),
        (_full, 0x88),
        (_paused, 0x88),
    ],
    ids=["password", "packet", "full", "paused"],
)
@pytest.mark.parametrize("later", [False, True])
async def test_a_refused_connect_gets_its_reason_and_is_closed(
    make: Make, reason: int, *, later: bool
) -> None:
    """Also where there is a session of this name, whose client stays."""
    async with embedded(FULL, access=Doorman(later=later)) as (engine, place):
        owner = await place.connect("me", level=5, properties=KEPT)
        data = await make(engine, place)
        client = await place.open()
        client.send(data)
        assert await refused(client) == reason
        assert await owner.ping() == []


@pytest.mark.parametrize("later", [False, True])
async def test_nothing_behind_a_refused_connect_counts(*, later: bool) -> None:
    async with embedded(access=Doorman(later=later)) as (_, place):
        listener = await place.connect(level=5)
        await listener.subscribe(("#", 1))
        client = await place.open()
        behind = packet(SUBSCRIBE, b"\0\1\0" + text("a") + b"\0", flags=2)
        client.send(WRONG + behind + publish_packet("a", b"x", qos=1, retain=True, properties=b""))
        assert await refused(client) == 0x86
        await listener.publish("end", b"", qos=1)
        assert [one.topic for one in await listener.pending()] == ["end"]
        late = await place.connect(level=5)
        await late.subscribe(("#", 1))
        assert await late.pending() == []


@pytest.mark.parametrize("later", [False, True])
async def test_an_accepted_connect_gets_one_connack_before_anything_else(*, later: bool) -> None:
    """Though messages wait, and much comes with it."""
    async with embedded(access=Doorman(later=later)) as (_, place):
        client = await place.connect("me", level=5, properties=KEPT)
        await client.subscribe(("a", 1))
        await client.disconnect()
        other = await place.connect(level=5)
        await other.publish("a", b"waits", qos=1)
        client = await place.open()
        client.mqtt5 = True
        client.send(
            connect_packet("me", clean=False, username="u", password="right", level=5, properties=KEPT)
            + packet(SUBSCRIBE, b"\0\1\0" + text("b") + b"\0", flags=2)
            + publish_packet("c", b"x", qos=1, properties=b"")
            + packet(PINGREQ)
        )
        answer = await client.expect(CONNACK)
        assert answer.body[:2] == b"\1\0"
        kinds = [(await client.receive()).kind for _ in range(4)]
        assert kinds == [PUBLISH, SUBACK, PUBACK, PINGRESP]
        assert await client.ping() == []


async def test_a_take_over_tells_the_old_connection_so(place: Place) -> None:
    """And the new one has the session."""
    stranger = await place.connect("you", level=5)
    old = await place.connect("me", level=5, properties=KEPT)
    await old.subscribe(("a", 1))
    new = await place.connect("me", clean=False, present=True, level=5, properties=KEPT)
    assert await cut_off(old) == 0x8E
    await stranger.publish("a", b"x", qos=1)
    assert await new.pending() == [Arrived("a", b"x", 1)]
    newest = await place.connect("me", level=5)
    assert await cut_off(new) == 0x8E
    await stranger.publish("a", b"x", qos=1)
    assert await newest.pending() == []


LETTERS = string.digits + string.ascii_letters


@pytest.mark.parametrize(
    "client_id", [*(LETTERS[at : at + 23] for at in range(0, len(LETTERS), 23)), "a", "Z", "0"]
)
async def test_plain_client_identifiers_are_taken(place: Place, client_id: str) -> None:
    client = await place.connect(client_id, level=5)
    assert ASSIGNED_ID not in dict(props(client.welcome))


async def test_an_empty_client_identifier_is_assigned_one(place: Place) -> None:
    """With Clean Start and without; its client finds the session by it."""
    named = []
    for clean in (True, False):
        client = await place.connect("", clean=clean, level=5, properties=KEPT)
        name = dict(props(client.welcome))[ASSIGNED_ID]
        assert isinstance(name, str)
        await client.subscribe(("a", 1))
        await client.disconnect()
        client = await place.connect(name, clean=False, present=True, level=5)
        assert ASSIGNED_ID not in dict(props(client.welcome))
        named.append(name)
    assert len(set(named)) == 2


@pytest.mark.parametrize(
    ("asked", "told", "longest"), [(0, 60, 90), (61, 60, 90), (30, None, 45), (60, None, 90)]
)
async def test_the_keepalive_in_force_is_told_where_it_differs(
    asked: int, told: int | None, longest: float
) -> None:
    settings = EmbeddedSettings(listen=LOOPBACK, keepalive_maximum=60)
    async with embedded(settings) as (_, place):
        client = await place.connect(keepalive=asked, level=5)
        assert dict(props(client.welcome)).get(SERVER_KEEPALIVE) == told
    connection = Connection(Broker(settings).core, FakeWire())
    connection.feed(connect_packet("me", keepalive=asked, level=5), 0.0)
    assert not connection.overdue(longest)
    assert connection.overdue(longest + 0.1)


async def test_a_client_without_a_keepalive_is_never_too_silent(place: Place) -> None:
    """Where the broker has no longest one."""
    client = await place.connect(keepalive=0, level=5)
    assert SERVER_KEEPALIVE not in dict(props(client.welcome))
    connection = Connection(Broker().core, FakeWire())
    connection.feed(connect_packet("me", keepalive=0, level=5), 0.0)
    assert not connection.overdue(1e9)


async def test_what_is_not_declared_absent_is_served() -> None:
    """All of MQTT 5 that a broker may lack; the limits that CONNACK names are those in force."""
    settings = EmbeddedSettings(listen=LOOPBACK, pending_acks=77, max_packet=5000, topic_aliases=9)
    async with embedded(settings) as (_, place):
        client = await place.connect(
            "me", level=5, will=Will("will", b"gone", 2, retain=True), properties=KEPT
        )
        assert dict(props(client.welcome)) == {RECEIVE_MAXIMUM: 77, MAXIMUM_PACKET: 5000, ALIAS_MAXIMUM: 9}
        wanted = (("a", 0), ("b", 1), ("c/+", 2), ("d/#", 2), ("$share/g/e", 2))
        assert await client.subscribe(*wanted, properties=prop(SUBSCRIPTION_ID, 5)) == [0, 1, 2, 2, 2]
        for qos in (0, 1, 2):
            await client.publish("a", b"x", qos=qos, retain=True)
        assert len(await client.pending()) == 3
        client.drop()
        listener = await place.connect(level=5)
        await listener.subscribe(("will", 2))
        assert (await listener.receive()).body.endswith(b"gone")


@pytest.mark.parametrize("asked", [b"", b"\x19\0", b"\x19\1"])
async def test_no_response_information_is_sent(place: Place, asked: bytes) -> None:
    client = await place.connect(level=5, properties=asked)
    assert 0x1A not in dict(props(client.welcome))
