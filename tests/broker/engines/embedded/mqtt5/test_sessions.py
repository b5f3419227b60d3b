"""What becomes of a session of MQTT 5 when its client comes back. sessions/test_expiry.py has restarts."""

import pytest

from tests.broker.engines.embedded.conftest import Lives
from tests.broker.engines.embedded.raw_client import (
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    Arrived,
    Place,
)
from tests.broker.engines.embedded.raw_properties import (
    CONTENT_TYPE,
    MESSAGE_EXPIRY,
    SESSION_EXPIRY,
    SUBSCRIPTION_ID,
    USER_PROPERTY,
    prop,
    props,
)

KEPT = prop(SESSION_EXPIRY, 100)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("clean", [True, False])
async def test_clean_start_decides_what_becomes_of_the_session(place: Place, kept: bool, clean: bool) -> None:
    """It is there only if it was kept and is wanted. How long the new one lasts is another matter."""
    client = await place.connect("me", level=5, properties=KEPT if kept else b"")
    assert await client.subscribe(("a", 1)) == [1]
    await client.disconnect()
    sender = await place.connect(level=5)
    await sender.publish("a", b"waits", qos=1)
    present = kept and not clean
    client = await place.connect("me", level=5, clean=clean, properties=KEPT, present=present)
    await sender.publish("a", b"live", qos=1)
    assert [one.payload for one in await client.pending()] == present * [b"waits", b"live"]
    assert await client.unsubscribe("a") == [0 if present else 0x11]
    await client.disconnect()
    await place.connect("me", level=5, clean=False, present=True)


async def test_a_session_has_its_subscriptions_only_from_its_own_client(place: Place) -> None:
    """The same identifier in MQTT 3.1.1 is the same client, and goes on with the same session."""
    client = await place.connect("me", level=5, properties=KEPT)
    await client.subscribe(("a", 0x08 | 1), properties=prop(SUBSCRIPTION_ID, 5))
    await client.disconnect()
    sender = await place.connect(level=5)
    await sender.publish("a", b"1", qos=1, retain=True, properties=prop(CONTENT_TYPE, "text/plain"))
    client = await place.connect("me", clean=False, present=True)
    assert await client.pending() == [Arrived("a", b"1", 1, retain=True)]
    await client.disconnect()
    await sender.publish("a", b"2", qos=1, properties=prop(CONTENT_TYPE, "text/plain"))
    client = await place.connect("me", level=5, clean=False, present=True, properties=KEPT)
    (found,) = await client.pending()
    assert sorted(props(found.properties)) == [(CONTENT_TYPE, "text/plain"), (SUBSCRIPTION_ID, 5)]


async def test_unacknowledged_packets_come_again_with_their_numbers(place: Place) -> None:
    """In their order, when the client is back, and at no other time."""
    client = await place.connect("me", level=5, properties=KEPT)
    sender = await place.connect(level=5)
    await client.subscribe(("a", 2))
    for number in range(6):
        await sender.publish("a", b"%d" % number, qos=1 + number % 2)
    numbers = [(await client.expect(PUBLISH)).packet_id for _ in range(6)]
    client.send_ack(PUBACK, numbers[0])
    client.send_ack(PUBREC, numbers[1])
    assert (await client.expect(PUBREL)).packet_id == numbers[1]
    for _ in range(3):
        assert await client.ping() == []
    for _ in range(2):
        client.drop()
        client = await place.connect("me", level=5, clean=False, properties=KEPT, present=True)
        again = await client.ping()
        assert [(one.kind, one.packet_id) for one in again] == [
            (PUBREL, numbers[1]),
            *((PUBLISH, number) for number in numbers[2:]),
        ]
        assert [client.read_publish(one) for one in again[1:]] == [
            Arrived("a", b"%d" % number, 1 + number % 2, dup=True) for number in range(2, 6)
        ]
    client.send_ack(PUBCOMP, numbers[1])
    for one in again[1:]:
        client.acknowledge(one)
    await client.pending()
    client.drop()
    client = await place.connect("me", level=5, clean=False, properties=KEPT, present=True)
    assert await client.ping() == []


async def test_what_a_session_of_mqtt_5_has_survives(lives: Lives) -> None:
    """Options, identifiers and properties; what was on its way, and what waits, with what is left of it."""
    said = prop(CONTENT_TYPE, "text/plain") + b"".join(
        prop(USER_PROPERTY, one) for one in (("b", "1"), ("a", "2"), ("b", "3"), ("", ""))
    )
    async with lives.next() as place:
        client = await place.connect("me", level=5, properties=KEPT)
        # No local, and the retain flag as it was published.
        await client.subscribe(("a", 0x0C | 2), properties=prop(SUBSCRIPTION_ID, 300))
        sender = await place.connect(level=5)
        for number in range(2):
            lasting = prop(MESSAGE_EXPIRY, 3600)
            await sender.publish("a", b"%d" % number, qos=1, retain=number == 1, properties=said + lasting)
        on_its_way = await client.expect(PUBLISH)
        client.drop()
        await sender.publish("a", b"2", qos=1, properties=said)
    async with lives.next() as place:
        client = await place.connect("me", level=5, clean=False, properties=KEPT, present=True)
        await client.publish("a", b"own", qos=1)
        found = await client.ping()
        assert found[0].packet_id == on_its_way.packet_id
        came = [client.read_publish(one) for one in found]
        assert [(one.payload, one.retain) for one in came] == [(b"0", False), (b"1", True), (b"2", False)]
        assert came[0].dup
        for one in came:
            told = props(one.properties)
            assert [pair for pair in told if pair[0] in (CONTENT_TYPE, USER_PROPERTY)] == props(said)
            assert (SUBSCRIPTION_ID, 300) in told
            assert all(0 < int(str(value)) <= 3600 for kind, value in told if kind == MESSAGE_EXPIRY)
            assert (MESSAGE_EXPIRY in dict(told)) == (one.payload != b"2")
