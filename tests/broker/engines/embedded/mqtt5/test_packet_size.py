"""No packet is larger than its client takes."""

from dataclasses import replace

import pytest

from broker.contract.refusal import Refusal
from broker.engines.embedded import AllowAll, EmbeddedSettings, Login
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.mqtt5.endings import all_that_comes, cut_off, said_in
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    Arrived,
    Packet,
    Place,
    connect_packet,
    packet,
    publish_packet,
    text,
)
from tests.broker.engines.embedded.raw_properties import (
    MAXIMUM_PACKET,
    REASON_STRING,
    RECEIVE_MAXIMUM,
    SESSION_EXPIRY,
    USER_PROPERTY,
    prop,
)

MOST = 100
SMALL = prop(MAXIMUM_PACKET, MOST) + prop(RECEIVE_MAXIMUM, 1) + prop(SESSION_EXPIRY, 100)
BASIC = EmbeddedSettings(listen=LOOPBACK)
KINDS = (CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT)


def size_of(found: Packet) -> int:
    return len(packet(found.kind, found.body, flags=found.flags))


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_too_large_for_a_client_counts_as_delivered(qos: int, *, away: bool) -> None:
    """It keeps nothing back, whether it is its payload or what is beside it; other clients get it."""
    largest = MOST - len(publish_packet("a", b"", qos=qos, properties=b""))
    beside = prop(USER_PROPERTY, ("k", "v"))
    messages = (
        (bytes(largest), b""),
        (bytes(largest + 1), b""),
        (bytes(largest - 6), beside),
        (b"x", beside),
    )
    async with embedded() as (engine, place):
        client = await place.connect("me", level=5, properties=SMALL)
        await client.subscribe(("a", qos))
        other = await place.connect("other", level=5)
        await other.subscribe(("a", qos))
        if away:
            await client.disconnect()
        for payload, properties in messages:
            await other.publish("a", payload, qos=qos, properties=properties)
        assert [one.payload for one in await other.pending()] == [payload for payload, _ in messages]
        if away:
            client = await place.connect("me", clean=False, present=True, level=5, properties=SMALL)
        fitting = [Arrived("a", messages[0][0], qos), Arrived("a", b"x", qos, properties=beside)]
        assert await client.pending() == (fitting if qos or not away else [])
        assert engine.counters.dropped_large == (2 if qos or not away else 0)


async def test_a_retained_message_too_large_for_a_client_is_not_sent(place: Place) -> None:
    sender = await place.connect(level=5)
    await sender.publish("a", bytes(MOST), qos=1, retain=True)
    await sender.publish("b", b"x", qos=1, retain=True)
    client = await place.connect(level=5, properties=SMALL)
    await client.subscribe(("#", 1))
    assert [one.topic for one in await client.pending()] == ["b"]


class Doorman(AllowAll):
    """Knows the word."""

    def may_connect(self, login: Login) -> bool:
        return login.password in (None, b"right")


async def answers(place: Place, most: int) -> list[Packet]:
    """What a client that takes so many bytes is answered: each kind of answer once."""
    limit = prop(MAXIMUM_PACKET, most)
    stranger = await place.open()
    stranger.send(connect_packet("you", username="u", password="wrong", level=5, properties=limit))
    found = await all_that_comes(stranger)
    client = await place.connect("me", level=5, properties=limit)
    for qos in (1, 2):
        client.send(publish_packet("task", b"x", qos=qos, packet_id=qos, properties=b""))
    client.send_ack(PUBREL, 9)
    client.send_ack(PUBREC, 9)
    client.send(packet(SUBSCRIBE, b"\0\1\0" + text("a") + b"\0", flags=2))
    client.send(packet(UNSUBSCRIBE, b"\0\1\0" + text("b"), flags=2))
    client.send(packet(SUBSCRIBE, b"\0\1\0", flags=2))
    return sorted(found + await all_that_comes(client), key=lambda one: one.kind)


def split(answer: Packet) -> tuple[bytes, set[int]]:
    """What an answer tells in any case, and which properties it has beside that."""
    end = {CONNACK: 2, SUBACK: 2, UNSUBACK: 2, DISCONNECT: 1}.get(answer.kind, 3)
    return answer.body[:end], {kind for kind, _ in said_in(answer.body[end:])}


async def test_a_reason_string_that_does_not_fit_is_left_out() -> None:
    """No answer has user properties, and what is told in any case is told."""
    refusal = Refusal(0x97, "there is more to do than can be done")
    settings = replace(BASIC, sys_interval=0.0)
    async with embedded(settings, receiver=lambda _: refusal, filters=("task",), access=Doorman()) as (
        _,
        place,
    ):
        whole = await answers(place, 1000)
        assert {one.kind for one in whole} == set(KINDS)
        wordy = [one for one in whole if REASON_STRING in split(one)[1]]
        assert {one.kind for one in wordy} == {CONNACK, PUBACK, PUBREC, DISCONNECT}
        for most in {size_of(one) for one in wordy}:
            for limit in (most, most - 1):
                found = await answers(place, limit)
                assert [split(one)[0] for one in found] == [split(one)[0] for one in whole]
                for one, before in zip(found, whole, strict=True):
                    fits = size_of(before) <= limit
                    assert split(one)[1] == (split(before)[1] if fits else split(before)[1] - {REASON_STRING})
                    assert size_of(one) <= limit


@pytest.mark.parametrize(("most", "let_in"), [(1, False), (4, False), (15, False), (16, True)])
async def test_who_takes_too_little_for_a_welcome_is_turned_away(
    place: Place, most: int, *, let_in: bool
) -> None:
    """With CONNACK 0x95 where that fits, else without a word."""
    client = await place.open()
    client.send(connect_packet("me", level=5, properties=prop(MAXIMUM_PACKET, most)))
    if let_in:
        assert (await client.expect(CONNACK)).body[:2] == b"\0\0"
    else:
        assert [one.body for one in await all_that_comes(client)] == ([b"\0\x95\0"] if most >= 5 else [])


async def test_who_takes_too_little_for_an_answer_is_cut_off(place: Place) -> None:
    client = await place.connect("me", level=5, properties=prop(MAXIMUM_PACKET, 16))
    filters = b"".join(text(f"a/{one}") + b"\0" for one in range(20))
    client.send(packet(SUBSCRIBE, b"\0\1\0" + filters, flags=2))
    assert await cut_off(client) == 0x95
