"""What a client of MQTT 5 is told of its subscriptions, and what it gets by them."""

import pytest

from broker.engines.embedded import AllowAll, EmbeddedSettings, Login
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.raw_client import (
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    Arrived,
    Place,
    packet,
    text,
)
from tests.broker.engines.embedded.raw_properties import SESSION_EXPIRY, SUBSCRIPTION_ID, prop, props

KEPT = prop(SESSION_EXPIRY, 100)


class Doorman(AllowAll):
    """What is `secret` is for nobody."""

    def may_subscribe(self, login: Login, filter: str) -> bool:  # noqa: ARG002  # the contract's
        return not filter.endswith("secret")


async def test_a_suback_tells_of_each_filter_in_order() -> None:
    """The QoS granted or a reason; of a filter that is there twice the last one counts."""
    settings = EmbeddedSettings(listen=LOOPBACK, topic_levels=3, subscriptions=6)
    async with embedded(settings, access=Doorman()) as (_, place):
        client = await place.connect(level=5)
        wanted = [
            ("q/0", 0),
            ("q/1", 1),
            ("q/2", 2),
            ("secret", 1),
            ("a/b/c/d", 1),
            ("twice", 2),
            ("twice", 0),
        ]
        wanted += [("$share/g/s", 1), ("$share/g/secret", 1), ("last", 0), ("beyond", 0)]
        assert await client.subscribe(*wanted) == [0, 1, 2, 0x87, 0x8F, 2, 0, 1, 0x87, 0, 0x97]
        for topic in ("q/0", "q/1", "q/2", "secret", "a/b/c", "twice", "s", "last", "beyond"):
            await client.publish(topic, b"x", qos=2)
        assert [(one.topic, one.qos) for one in await client.pending()] == [
            ("q/0", 0),
            ("q/1", 1),
            ("q/2", 2),
            ("twice", 0),
            ("s", 1),
            ("last", 0),
        ]


async def test_an_unsuback_tells_of_each_filter_in_order(place: Place) -> None:
    """Whether there was one that is the same to the letter; what is not named stays."""
    client = await place.connect(level=5)
    assert await client.unsubscribe("never") == [0x11]
    await client.subscribe(("a/b", 1), ("$share/g/s", 1), ("stays", 1))
    named = ("a/b", "a/+", "never", "$share/g/s", "$share/h/s", "a/b")
    assert await client.unsubscribe(*named) == [0, 0x11, 0x11, 0, 0x11, 0x11]
    for topic in ("a/b", "s", "stays"):
        await client.publish(topic, b"x", qos=1)
    assert await client.pending() == [Arrived("stays", b"x", 1)]


async def test_replacing_a_subscription_loses_nothing(place: Place) -> None:
    """Each message comes once, and with the identifier that is in force then; so does what is retained."""
    client, sender = await place.connect(level=5), await place.connect(level=5)
    await sender.publish("a", b"kept", qos=1, retain=True)
    await client.subscribe(("a", 1), properties=prop(SUBSCRIPTION_ID, 1))
    assert [one.payload for one in await client.pending()] == [b"kept"]
    # Both speak at once: where the replacements fall among the messages is left to chance.
    for number in range(2, 52):
        again = number.to_bytes(2, "big") + b"\x02" + prop(SUBSCRIPTION_ID, number)
        client.send(packet(8, again + text("a") + bytes((number % 2 + 1,)), flags=2))
        await sender.publish("a", b"%d" % number, qos=1)
    came: list[Arrived] = []
    answers = 0
    while answers < 50 or len(came) < 100:
        found = await client.receive()
        answers += found.kind == SUBACK
        if found.kind == PUBLISH:
            came.append(client.read_publish(found))
            client.acknowledge(found)
    assert [one.payload for one in came if not one.retain] == [b"%d" % number for number in range(2, 52)]
    assert sum(one.retain for one in came) == 50
    await sender.publish("a", b"after", qos=2)
    (last,) = [one for one in await client.pending() if not one.retain]
    assert (last.qos, props(last.properties)) == (2, [(SUBSCRIPTION_ID, 51)])
    assert await client.unsubscribe("a", "a") == [0, 0x11]


async def test_overlapping_filters_bring_one_copy_with_all_identifiers(place: Place) -> None:
    """The session has them still when its client is back."""
    client = await place.connect("me", level=5, properties=KEPT)
    for wanted, qos, properties in (
        ("a/b", 0, prop(SUBSCRIPTION_ID, 1)),
        ("a/+", 2, prop(SUBSCRIPTION_ID, 268_435_455)),
        ("#", 1, b""),
    ):
        assert await client.subscribe((wanted, qos), properties=properties) == [qos]
    for _ in range(2):
        await client.publish("a/b", b"x", qos=2)
        (found,) = await client.pending()
        assert (found.qos, found.payload) == (2, b"x")
        assert sorted(props(found.properties)) == [(SUBSCRIPTION_ID, 1), (SUBSCRIPTION_ID, 268_435_455)]
        client.drop()
        client = await place.connect("me", level=5, clean=False, properties=KEPT, present=True)


@pytest.mark.parametrize("away", [True, False])
async def test_no_local_keeps_ones_own_messages_away(place: Place, away: bool) -> None:
    """Whichever connection of the client has published them; what another filter asks for comes."""
    client = await place.connect("me", level=5, properties=KEPT)
    await client.subscribe(("a/+", 0x04 | 2), ("a/b", 1))
    await client.publish("a/a", b"mine", qos=1)
    if away:
        # Left in the window of a client that was lost, and in the queue of one that is away.
        client.drop()
        client = await place.connect("me", level=5, clean=False, properties=KEPT, present=True)
    await client.publish("a/a", b"mine", qos=1)
    await client.publish("a/b", b"mine", qos=2)
    other = await place.connect("other", level=5)
    if away:
        await client.disconnect()
    await other.publish("a/a", b"other", qos=2)
    if away:
        client = await place.connect("me", level=5, clean=False, properties=KEPT, present=True)
    assert await client.pending() == [
        Arrived("a/b", b"mine", 1, dup=away),
        Arrived("a/a", b"other", 2),
    ]


@pytest.mark.parametrize("wanted", ["\ufeffa", "a", "A", "a/", "/a", "\u00e9", "e\u0301", " a"])
async def test_topics_are_compared_byte_by_byte(place: Place, wanted: str) -> None:
    client = await place.connect(level=5)
    await client.subscribe((wanted, 1))
    for topic in ("\ufeffa", "a", "A", "a/", "/a", "\u00e9", "e\u0301", " a"):
        await client.publish(topic, b"x", qos=1)
    assert await client.pending() == [Arrived(wanted, b"x", 1)]


async def test_what_was_on_its_way_is_finished_after_unsubscribing(place: Place) -> None:
    """It comes again to a client that comes back, too; what is new does not come."""
    client = await place.connect("me", level=5, properties=KEPT)
    sender = await place.connect(level=5)
    await client.subscribe(("a", 2))
    for qos in (1, 2, 1, 2):
        await sender.publish("a", b"x", qos=qos)
    first, second, third, fourth = [await client.expect(PUBLISH) for _ in range(4)]
    assert await client.unsubscribe("a") == [0]
    await sender.publish("a", b"late", qos=1)
    client.send_ack(PUBACK, first.packet_id)
    client.send_ack(PUBREC, second.packet_id)
    assert (await client.expect(PUBREL)).packet_id == second.packet_id
    client.send_ack(PUBCOMP, second.packet_id)
    assert await client.ping() == []
    client.drop()
    client = await place.connect("me", level=5, clean=False, properties=KEPT, present=True)
    again = await client.ping()
    assert [one.packet_id for one in again] == [third.packet_id, fourth.packet_id]
    assert all(client.read_publish(one).dup for one in again)
