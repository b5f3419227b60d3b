"""The broker ends a connection of MQTT 5: it says why, and says nothing more."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broker.contract.identity import Role
from broker.engines.embedded import EmbeddedEngine, EmbeddedSettings
from broker.engines.embedded.access import UserAccess
from broker.security.users import make_user, write_users
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.mqtt5.endings import cut_off, refused
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Arrived,
    Place,
    RawClient,
    Will,
    connect_packet,
    packet,
    publish_packet,
    sized,
    text,
)
from tests.broker.engines.embedded.raw_properties import (
    ALIAS,
    CONTENT_TYPE,
    SESSION_EXPIRY,
    SUBSCRIPTION_ID,
    prop,
)

BASIC = EmbeddedSettings(listen=LOOPBACK)


def subscribe(options: int, filter: str = "a", properties: bytes = b"\0") -> bytes:
    return packet(SUBSCRIBE, b"\0\1" + properties + text(filter) + bytes((options,)), flags=2)


def publish(properties: bytes, topic: bytes = text("a"), *, flags: int = 0) -> bytes:
    return packet(PUBLISH, topic + properties, flags=flags)


async def ended_by(place: Place, data: bytes) -> int:
    """Why the broker ends a connection that has sent this. Its will follows, and others stay."""
    listener = await place.connect(level=5)
    await listener.subscribe(("gone", 1))
    client = await place.connect(level=5, will=Will("gone", b"x", 1))
    client.send(data)
    reason = await cut_off(client)
    assert listener.read_publish(await listener.expect(PUBLISH)) == Arrived("gone", b"x", 1)
    return reason


@pytest.mark.parametrize(
    "data",
    [
        b"\x60\x02\0\1",  # PUBREL without its flag
        b"\x80" + subscribe(0)[1:],  # SUBSCRIBE, the same
        b"\xa0\x06\0\1\0\0\1a",  # UNSUBSCRIBE, the same
        b"\xc1\0",
        b"\xe1\0",
        b"\xf1\0",
        b"\x00\0",  # no type
        publish(b"\0\1\0", flags=6),  # QoS 3
        subscribe(0xC0),
        subscribe(0x40),
        subscribe(0x80),
        publish(b"", text("ab")[:3]),  # a topic that is cut short
        publish(b"\5" + prop(CONTENT_TYPE, "x")),  # properties longer than the packet
        publish(b"\3" + prop(CONTENT_TYPE, "x")),  # and too short for the one
        publish(sized(b"\0")),  # no property
        publish(sized(prop(SESSION_EXPIRY, 1))),  # one of CONNECT's
        publish(b"\x80\0"),  # a long way to write 0
        publish(b"\0", b"\0\1\xff"),
        publish(b"\0", text("a/+")),
    ],
    ids=bytes.hex,
)
async def test_a_malformed_packet_ends_the_connection(place: Place, data: bytes) -> None:
    assert await ended_by(place, data) == 0x81


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (connect_packet("me", level=5), 0x82),
        (packet(SUBSCRIBE, b"\0\1\0", flags=2), 0x82),
        (packet(UNSUBSCRIBE, b"\0\1\0", flags=2), 0x82),
        (packet(SUBSCRIBE, b"\0\0\0" + text("a") + b"\0", flags=2), 0x82),
        (subscribe(0x04, "$share/g/a"), 0x82),
        (subscribe(0x03), 0x82),
        (subscribe(0x30), 0x82),
        (subscribe(0, properties=sized(prop(SUBSCRIPTION_ID, 0))), 0x82),
        (publish(sized(prop(SUBSCRIPTION_ID, 1))), 0x82),
        (publish(sized(2 * prop(CONTENT_TYPE, "x"))), 0x82),
        (publish(b"\0", flags=8), 0x81),  # DUP with QoS 0
        (publish(b"\0", text("")), 0x82),  # neither topic nor alias
        (publish(b"\0\0\0", flags=2), 0x82),  # packet identifier 0
        (publish(sized(prop(ALIAS, 1)), text("")), 0x82),  # an alias that stands for nothing
        (publish(sized(prop(ALIAS, 0))), 0x94),
        (b"\x40\x03\0\1\x92", 0x82),  # a reason that PUBACK does not have
        (b"\xe0\x07\0\x05" + prop(SESSION_EXPIRY, 5), 0x82),  # a session that was to end gets an expiry
    ],
)
async def test_a_protocol_error_ends_the_connection(place: Place, data: bytes, reason: int) -> None:
    assert await ended_by(place, data) == reason


@pytest.mark.parametrize(
    ("qos", "answer"),
    [(1, (PUBREC,)), (1, (PUBREC, 0x80)), (1, (PUBCOMP,)), (2, (PUBACK,)), (2, (PUBCOMP,))],
)
async def test_an_acknowledgement_of_the_wrong_kind_ends_the_connection(
    place: Place, qos: int, answer: tuple[int, ...]
) -> None:
    client = await place.connect("me", level=5)
    await client.subscribe(("a", 2))
    await client.publish("a", b"x", qos=qos)
    kind, *reason = answer
    client.send_ack(kind, (await client.expect(PUBLISH)).packet_id, *reason)
    assert await cut_off(client) == 0x82


Ending = Callable[[EmbeddedEngine, Place, RawClient], Awaitable[None]]


async def _taken_over(_engine: EmbeddedEngine, place: Place, _client: RawClient) -> None:
    await place.connect("me", level=5)


async def _stopped(engine: EmbeddedEngine, _place: Place, _client: RawClient) -> None:
    await engine.stop()


async def _silent(_engine: EmbeddedEngine, _place: Place, _client: RawClient) -> None:
    """Its keepalive is one second."""


async def _unacknowledged(_engine: EmbeddedEngine, _place: Place, client: RawClient) -> None:
    for number in range(1, 5):
        client.send(publish_packet("task", b"x", qos=number % 2 + 1, packet_id=number, properties=b""))


async def _aliased(_engine: EmbeddedEngine, _place: Place, client: RawClient) -> None:
    client.send(publish_packet("a", b"x", properties=prop(ALIAS, BASIC.topic_aliases + 1)))


async def _large(_engine: EmbeddedEngine, _place: Place, client: RawClient) -> None:
    """Its head says how large it is to become."""
    client.send(publish_packet("a", bytes(1000), properties=b"")[:3])


async def _too_deep(_engine: EmbeddedEngine, _place: Place, client: RawClient) -> None:
    client.send(publish_packet("a/" * 300, b"x", properties=b""))


async def _not_stored(_engine: EmbeddedEngine, _place: Place, client: RawClient) -> None:
    client.send(publish_packet("broken", b"x", qos=1, properties=b""))


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (_taken_over, 0x8E),
        (_stopped, 0x8B),
        (_silent, 0x8D),
        (_unacknowledged, 0x93),
        (_aliased, 0x94),
        (_large, 0x95),
        (_too_deep, 0x90),
        (_not_stored, 0x80),
    ],
)
async def test_the_broker_says_why_it_closes(ending: Ending, reason: int) -> None:
    """And nothing behind it."""
    pending = []

    def receive(message: object) -> asyncio.Future[None]:
        pending.append(asyncio.get_running_loop().create_future())
        if "broken" in str(message):
            pending[-1].set_exception(OSError("disk full"))
        return pending[-1]

    settings = replace(BASIC, pending_acks=3, max_packet=1000)
    async with embedded(settings, receiver=receive, filters=("task", "broken")) as (engine, place):
        client = await place.connect("me", level=5, keepalive=1)
        await ending(engine, place, client)
        assert await cut_off(client) == reason


async def test_a_user_who_was_removed_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    ann = make_user("ann", Role.OPERATOR, "secret")
    write_users(path, {"ann": ann})
    async with embedded(access=UserAccess(path)) as (_, place):
        client = await place.open()
        hello = connect_packet("me", username="ann", password="secret", level=5)
        client.send(hello)
        assert (await client.expect(CONNACK)).body[:2] == b"\0\0"
        write_users(path, {"bob": make_user("bob", Role.OPERATOR, "secret")})
        assert await cut_off(client) == 0x87
        client = await place.open()
        client.send(hello)
        assert await refused(client) == 0x86
