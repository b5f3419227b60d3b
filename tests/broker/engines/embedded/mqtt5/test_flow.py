"""How much may be under way at once, from the broker to a client and from a client to the broker."""

import asyncio

import pytest

from broker.contract.message import Message
from broker.engines.embedded import EmbeddedSettings
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.mqtt5.endings import cut_off
from tests.broker.engines.embedded.raw_client import (
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    Packet,
    Place,
    RawClient,
    packet,
    publish_packet,
    text,
)
from tests.broker.engines.embedded.raw_properties import RECEIVE_MAXIMUM, SESSION_EXPIRY, prop

KEPT = prop(SESSION_EXPIRY, 100)
MESSAGES = 10


async def next_ones(client: RawClient) -> list[Packet]:
    return [one for one in await client.ping() if one.kind == PUBLISH]


@pytest.mark.parametrize(("most", "window"), [(1, 1), (3, 3), (None, 4), (200, 4)])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("refused", [False, True])
async def test_no_more_is_sent_than_the_client_takes(
    most: int | None, window: int, qos: int, *, refused: bool
) -> None:
    """Nor than the broker has under way for one client. Each that is done with lets one more come."""
    said = KEPT + (b"" if most is None else prop(RECEIVE_MAXIMUM, most))
    async with embedded(EmbeddedSettings(listen=LOOPBACK, window=4)) as (_, place):
        client = await place.connect("me", level=5, properties=said)
        await client.subscribe(("a", qos))
        sender = await place.connect(level=5)
        for number in range(MESSAGES):
            await sender.publish("a", b"%d" % number, qos=qos)
        assert len(await next_ones(client)) == window
        client.drop()
        client = await place.connect("me", clean=False, present=True, level=5, properties=said)
        came = await next_ones(client)
        for done in range(MESSAGES):
            assert len(came) == min(MESSAGES, window + done)
            number = came[done].packet_id
            if refused:
                client.send_ack(PUBACK if qos == 1 else PUBREC, number, 0x80)
            elif qos == 1:
                client.send_ack(PUBACK, number)
            else:
                client.send_ack(PUBREC, number)
                # That it is there is not the end of it.
                assert [one.kind for one in await client.ping()] == [PUBREL]
                client.send_ack(PUBCOMP, number)
            came += await next_ones(client)
        assert [client.read_publish(one).payload for one in came] == [b"%d" % one for one in range(MESSAGES)]


async def test_a_full_window_holds_back_nothing_but_publishes(place: Place) -> None:
    client = await place.connect("me", level=5, properties=prop(RECEIVE_MAXIMUM, 1))
    await client.subscribe(("a", 2))
    sender = await place.connect(level=5)
    for _ in range(3):
        await sender.publish("a", b"x", qos=2)
    first = (await client.expect(PUBLISH)).packet_id
    client.send(packet(PINGREQ))
    await client.expect(PINGRESP)
    client.send(packet(SUBSCRIBE, b"\0\1\0" + text("b") + b"\1", flags=2))
    await client.expect(SUBACK)
    client.send(publish_packet("c", b"x", qos=1, packet_id=7, properties=b""))
    assert (await client.expect(PUBACK)).packet_id == 7
    client.send(publish_packet("c", b"x", qos=2, packet_id=8, properties=b""))
    assert (await client.expect(PUBREC)).packet_id == 8
    client.send_ack(PUBREL, 8)
    assert (await client.expect(PUBCOMP)).packet_id == 8
    # What has no acknowledgement waits for none.
    await sender.publish("b", b"0", qos=0)
    assert client.read_publish(await client.expect(PUBLISH)).payload == b"0"
    client.send_ack(PUBREC, first)
    assert (await client.expect(PUBREL)).packet_id == first
    client.send_ack(PUBCOMP, first)
    await client.expect(PUBLISH)


@pytest.mark.parametrize("dup", [False, True])
@pytest.mark.parametrize("qos", [1, 2])
async def test_no_more_is_taken_than_was_announced(qos: int, *, dup: bool) -> None:
    """Messages of QoS 2 count until they are released, by an earlier connection too."""
    stored: list[asyncio.Future[None]] = []

    def receive(_: Message) -> asyncio.Future[None]:
        stored.append(asyncio.get_running_loop().create_future())
        return stored[-1]

    settings = EmbeddedSettings(listen=LOOPBACK, pending_acks=3)
    async with embedded(settings, receiver=receive, filters=("task",)) as (_, place):
        client = await place.connect("me", level=5, properties=KEPT)

        def publish(number: int) -> None:
            client.send(publish_packet("task", b"x", qos=qos, dup=dup, packet_id=number, properties=b""))

        for number in (1, 2, 3):
            publish(number)
        assert await client.ping() == []
        for one in stored:
            one.set_result(None)
        for number in (1, 2, 3):
            assert (await client.expect(PUBACK if qos == 1 else PUBREC)).packet_id == number
        if qos == 2:
            client.drop()
            client = await place.connect("me", clean=False, present=True, level=5, properties=KEPT)
            # Each of them is one of the three still.
            publish(2)
            assert (await client.expect(PUBREC)).packet_id == 2
            for number in (1, 2, 3):
                client.send_ack(PUBREL, number)
                assert (await client.expect(PUBCOMP)).packet_id == number
        for number in (4, 5, 6):
            publish(number)
        assert await client.ping() == []
        publish(7)
        assert await cut_off(client) == 0x93
