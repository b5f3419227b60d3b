"""Topic aliases, in both directions."""

import pytest

from tests.broker.engines.embedded.mqtt5.endings import cut_off
from tests.broker.engines.embedded.raw_client import Arrived, Place, RawClient, publish_packet
from tests.broker.engines.embedded.raw_properties import ALIAS, ALIAS_MAXIMUM, SESSION_EXPIRY, prop, props

KEPT = prop(SESSION_EXPIRY, 100)


def aliases(arrived: list[Arrived]) -> list[tuple[str, object]]:
    return [(one.topic, dict(props(one.properties)).get(ALIAS)) for one in arrived]


def announced(client: RawClient) -> int:
    most = dict(props(client.welcome))[ALIAS_MAXIMUM]
    assert isinstance(most, int)
    return most


@pytest.mark.parametrize("said", [b"", prop(ALIAS_MAXIMUM, 0)])
async def test_who_wants_no_aliases_gets_none(place: Place, said: bytes) -> None:
    client, sender = await place.connect(level=5, properties=said), await place.connect(level=5)
    await client.subscribe(("#", 1))
    for topic in ("a", "b", "a"):
        await sender.publish(topic, b"x", qos=1)
    assert aliases(await client.pending()) == [("a", None), ("b", None), ("a", None)]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_no_more_aliases_than_the_client_takes_are_used(place: Place, qos: int) -> None:
    """First come, first served: the first time with the topic, then without it."""
    client = await place.connect(level=5, properties=prop(ALIAS_MAXIMUM, 2))
    await client.subscribe(("#", qos))
    sender = await place.connect(level=5)
    for topic in ("a", "b", "c", "b", "a", "c"):
        await sender.publish(topic, b"x", qos=qos)
    assert aliases(await client.pending()) == [
        ("a", 1),
        ("b", 2),
        ("c", None),
        ("", 2),
        ("", 1),
        ("c", None),
    ]


async def test_an_alias_out_of_range_is_refused(place: Place) -> None:
    """One of 0, and one above what was announced; one that stands for nothing is another error."""
    most = announced(await place.connect(level=5))
    for alias, topic, reason in ((0, "a", 0x94), (most + 1, "a", 0x94), (0xFFFF, "", 0x94), (1, "", 0x82)):
        client = await place.connect(level=5)
        client.send(publish_packet(topic, b"x", properties=prop(ALIAS, alias)))
        assert await cut_off(client) == reason


async def test_every_alias_that_was_announced_is_taken(place: Place) -> None:
    """Each may be set anew; who listens gets topics, and no alias of another's."""
    listener, client = await place.connect(level=5), await place.connect(level=5)
    await listener.subscribe(("#", 1))
    every = range(1, announced(client) + 1)
    for said in (*(f"old/{alias}" for alias in every), *(f"new/{alias}" for alias in every)):
        alias = int(said.partition("/")[2])
        for topic in (said, "", ""):
            await client.publish(topic, b"x", qos=1, properties=prop(ALIAS, alias))
    assert aliases(await listener.pending()) == [
        (f"{age}/{alias}", None) for age in ("old", "new") for alias in every for _ in range(3)
    ]


async def test_aliases_end_with_their_connection(place: Place) -> None:
    """Though the session goes on, and though what comes again was sent with one."""
    said = KEPT + prop(ALIAS_MAXIMUM, 5)
    client, sender = await place.connect("me", level=5, properties=said), await place.connect(level=5)
    await client.subscribe(("a", 1))
    await client.publish("set", b"x", qos=1, properties=prop(ALIAS, 1))
    for _ in range(2):
        await sender.publish("a", b"x", qos=1)
    assert aliases(await client.pending(acknowledge=False)) == [("a", 1), ("", 1)]
    client.drop()
    client = await place.connect("me", clean=False, present=True, level=5, properties=KEPT)
    assert aliases(await client.pending(acknowledge=False)) == [("a", None), ("a", None)]
    client.drop()
    client = await place.connect("me", clean=False, present=True, level=5, properties=said)
    assert aliases(await client.pending()) == [("a", 1), ("", 1)]
    client.send(publish_packet("", b"x", properties=prop(ALIAS, 1)))
    assert await cut_off(client) == 0x82
