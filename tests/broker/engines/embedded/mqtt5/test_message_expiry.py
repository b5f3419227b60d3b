"""How long messages of MQTT 5 are worth sending, as clients see it. sessions/test_expiry.py has the clock."""

from tests.broker.engines.embedded.conftest import embedded
from tests.broker.engines.embedded.mqtt5.conftest import Clock
from tests.broker.engines.embedded.raw_client import PUBCOMP, PUBLISH, PUBREC, PUBREL, publish_packet
from tests.broker.engines.embedded.raw_properties import (
    MESSAGE_EXPIRY,
    RECEIVE_MAXIMUM,
    SESSION_EXPIRY,
    prop,
    props,
)

KEPT = prop(SESSION_EXPIRY, 100)


async def test_what_is_left_of_an_expiry_is_told() -> None:
    """All of it to who is there, what is left to who comes later; without one nothing is said."""
    clock = Clock()
    async with embedded(clock=clock.read) as (_, place):
        away = await place.connect("away", level=5, properties=KEPT)
        here, sender = await place.connect(level=5), await place.connect(level=5)
        for one in (away, here):
            await one.subscribe(("a", 1))
        await away.disconnect()
        for payload, expiry in ((b"0", 0), (b"4", 4), (b"10", 10), (b"ever", None)):
            said = b"" if expiry is None else prop(MESSAGE_EXPIRY, expiry)
            await sender.publish("a", payload, qos=1, retain=payload == b"10", properties=said)
        assert [(one.payload, props(one.properties)) for one in await here.pending()] == [
            (b"0", [(MESSAGE_EXPIRY, 0)]),
            (b"4", [(MESSAGE_EXPIRY, 4)]),
            (b"10", [(MESSAGE_EXPIRY, 10)]),
            (b"ever", []),
        ]
        clock.now += 4.5
        away = await place.connect("away", level=5, clean=False, properties=KEPT, present=True)
        left = (b"10", [(MESSAGE_EXPIRY, 6)])
        assert [(one.payload, props(one.properties)) for one in await away.pending()] == [
            left,
            (b"ever", []),
        ]
        await away.subscribe(("a", 1))
        assert [(one.payload, props(one.properties)) for one in await away.pending()] == [left]


async def test_what_expires_in_a_full_window_is_not_sent() -> None:
    """And that which comes behind it is."""
    clock = Clock()
    async with embedded(clock=clock.read) as (engine, place):
        client = await place.connect(level=5, properties=prop(RECEIVE_MAXIMUM, 1))
        sender = await place.connect(level=5)
        await client.subscribe(("a", 1))
        for payload, expiry in ((b"first", 5), (b"gone", 5), (b"last", 50)):
            await sender.publish("a", payload, qos=1, properties=prop(MESSAGE_EXPIRY, expiry))
        (first,) = await client.ping()
        clock.now += 6
        client.acknowledge(first)
        assert [one.payload for one in await client.pending()] == [b"last"]
        assert engine.counters.dropped_old == 1


async def test_an_exchange_that_has_begun_outlives_its_message() -> None:
    """From the broker and to it, and over a new connection."""
    clock = Clock()
    async with embedded(clock=clock.read) as (_, place):
        client = await place.connect("me", level=5, properties=KEPT)
        sender = await place.connect("sender", level=5, properties=KEPT)
        await client.subscribe(("a", 2))
        for payload in (b"received", b"sent"):
            sender.send(publish_packet("a", payload, qos=2, packet_id=7, properties=prop(MESSAGE_EXPIRY, 5)))
            await sender.expect(PUBREC)
            clock.now += 6 * (payload == b"sent")
            sender.send_ack(PUBREL, 7)
            assert (await sender.expect(PUBCOMP)).body == b"\0\7"
        received, sent = await client.expect(PUBLISH), await client.expect(PUBLISH)
        client.send_ack(PUBREC, received.packet_id)
        await client.expect(PUBREL)
        client.drop()
        client = await place.connect("me", level=5, clean=False, properties=KEPT, present=True)
        assert (await client.expect(PUBREL)).packet_id == received.packet_id
        again = await client.expect(PUBLISH)
        found = client.read_publish(again)
        assert (again.packet_id, found.dup, found.payload) == (sent.packet_id, True, b"sent")
        client.send_ack(PUBCOMP, received.packet_id)
        client.send_ack(PUBREC, sent.packet_id)
        assert (await client.expect(PUBREL)).packet_id == sent.packet_id
        client.send_ack(PUBCOMP, sent.packet_id)
        assert await client.ping() == []
