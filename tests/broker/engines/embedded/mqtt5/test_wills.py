"""When others are told that a client of MQTT 5 has gone, and how. sessions/test_wills.py has the clock."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import starmap

import pytest

from tests.broker.engines.embedded.conftest import Lives, embedded
from tests.broker.engines.embedded.mqtt5.conftest import Clock
from tests.broker.engines.embedded.raw_client import (
    DISCONNECT,
    PUBLISH,
    Arrived,
    Place,
    RawClient,
    Will,
)
from tests.broker.engines.embedded.raw_properties import (
    CONTENT_TYPE,
    CORRELATION,
    MESSAGE_EXPIRY,
    PAYLOAD_FORMAT,
    RESPONSE_TOPIC,
    SESSION_EXPIRY,
    USER_PROPERTY,
    WILL_DELAY,
    prop,
    props,
)

KEPT = prop(SESSION_EXPIRY, 100)


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"", False), (b"\0", False), (b"\0\0", False), (b"\x04", True), (b"\x80", True), (None, True)],
)
@pytest.mark.parametrize("kept", [True, False])
async def test_a_disconnect_decides_on_the_will(
    place: Place, body: bytes | None, told: bool, kept: bool
) -> None:
    """Without one it is sent; and with one that says so, or that tells of an error."""
    listener = await place.connect(level=5)
    await listener.subscribe(("will", 1))
    properties = KEPT if kept else b""
    client = await place.connect("me", level=5, will=Will("will", b"gone", 1), properties=properties)
    if body is None:
        client.drop()
    else:
        await client.disconnect(body)
    if told:
        found = await listener.expect(PUBLISH)
        assert listener.read_publish(found) == Arrived("will", b"gone", 1)
        listener.acknowledge(found)
    # It is not told later either: another life of the same session.
    client = await place.connect("me", level=5, clean=False, present=kept)
    await client.disconnect()
    assert await listener.pending() == []


@dataclass(frozen=True)
class Graves:
    """A broker on a clock, with one who hears of those who are gone."""

    place: Place
    clock: Clock
    listener: RawClient

    async def die(self, client_id: str, *, delay: int, kept: int) -> None:
        """Come, and go by a DISCONNECT that asks for the will."""
        will = Will("will", client_id.encode(), 1, properties=prop(WILL_DELAY, delay))
        client = await self.place.connect(
            client_id, level=5, will=will, properties=prop(SESSION_EXPIRY, kept)
        )
        await client.disconnect(b"\x04")

    async def heard(self) -> list[bytes]:
        return [one.payload for one in await self.listener.pending()]

    async def heard_after(self, seconds: float) -> list[bytes]:
        """Who is told of until a will that is due now is told, too."""
        self.clock.now += seconds - 1
        await self.die("now", delay=1, kept=100)
        self.clock.now += 1
        found: list[bytes] = []
        while b"now" not in found:
            one = await self.listener.expect(PUBLISH)
            self.listener.acknowledge(one)
            found.append(self.listener.read_publish(one).payload)
        found += await self.heard()
        found.remove(b"now")
        return found


@pytest.fixture
async def graves(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Graves]:
    monkeypatch.setattr("broker.engines.embedded.engine.SWEEP_INTERVAL", 0.02)
    clock = Clock()
    async with embedded(clock=clock.read) as (_, place):
        listener = await place.connect(level=5)
        await listener.subscribe(("will", 1))
        yield Graves(place, clock, listener)


@pytest.mark.parametrize(("delay", "kept"), [(5, 100), (100, 5), (5, 5)])
async def test_a_will_is_sent_at_its_delay_or_with_the_end_of_its_session(
    graves: Graves, delay: int, kept: int
) -> None:
    """Whichever comes first; once."""
    await graves.die("me", delay=delay, kept=kept)
    assert await graves.heard_after(4) == []
    assert await graves.heard_after(2) == [b"me"]
    assert await graves.heard_after(200) == []


@pytest.mark.parametrize(("delay", "kept"), [(0, 100), (5, 0)])
async def test_a_will_that_waits_for_nothing_is_sent_at_once(graves: Graves, delay: int, kept: int) -> None:
    await graves.die("me", delay=delay, kept=kept)
    assert await graves.heard() == [b"me"]


@pytest.mark.parametrize("clean", [True, False])
async def test_a_new_connection_in_time_keeps_the_will_back(graves: Graves, clean: bool) -> None:
    """Unless it starts anew: the session that the will belonged to has ended then."""
    await graves.die("me", delay=5, kept=100)
    assert await graves.heard_after(4) == []
    client = await graves.place.connect("me", level=5, clean=clean, properties=KEPT, present=not clean)
    assert await graves.heard() == clean * [b"me"]
    await client.disconnect()
    assert await graves.heard_after(50) == []


@pytest.mark.parametrize(("delay", "clean", "told"), [(0, False, 1), (5, False, 0), (5, True, 1)])
async def test_a_take_over_is_told_unless_the_session_goes_on_in_time(
    graves: Graves, delay: int, clean: bool, told: int
) -> None:
    will = Will("will", b"old", 1, properties=prop(WILL_DELAY, delay))
    old = await graves.place.connect("me", level=5, will=will, properties=KEPT)
    await graves.place.connect("me", level=5, clean=clean, properties=KEPT, present=not clean)
    assert (await old.expect(DISCONNECT)).body[:1] == b"\x8e"
    assert await graves.heard() == told * [b"old"]
    assert await graves.heard_after(50) == []


@pytest.mark.parametrize("retain", [True, False])
async def test_a_will_is_sent_with_its_retain_and_its_properties(graves: Graves, retain: bool) -> None:
    """As they came and in their order; its expiry begins when it is sent."""
    said = [
        (PAYLOAD_FORMAT, 1),
        (CONTENT_TYPE, "text/plain"),
        (RESPONSE_TOPIC, "reply/me"),
        (CORRELATION, b"\0\xff"),
        (USER_PROPERTY, ("b", "1")),
        (USER_PROPERTY, ("a", "2")),
        (USER_PROPERTY, ("b", "")),
    ]
    properties = b"".join(starmap(prop, (*said[:4], (MESSAGE_EXPIRY, 10), (WILL_DELAY, 6), *said[4:])))
    will = Will("will", b"gone", 2, retain=retain, properties=properties)
    client = await graves.place.connect("me", level=5, will=will, properties=KEPT)
    await client.disconnect(b"\x04")
    assert await graves.heard_after(6) == [b"gone"]
    listener = await graves.place.connect(level=5)
    graves.clock.now += 3
    await listener.subscribe(("will", 2))
    came = await listener.pending()
    assert [(one.payload, one.qos, one.retain) for one in came] == retain * [(b"gone", 2, True)]
    for one in came:
        told = props(one.properties)
        told.remove((MESSAGE_EXPIRY, 7))
        assert told == said


async def test_a_delayed_will_survives(lives: Lives) -> None:
    """Of one who had gone before the broker went, and of one who was there and does not come back."""
    async with lives.next() as place:
        for client_id, topic in (("gone", "will/gone"), ("there", "will/there")):
            will = Will(topic, b"x", 1, retain=True, properties=prop(WILL_DELAY, 2))
            client = await place.connect(client_id, level=5, will=will, properties=KEPT)
            if client_id == "gone":
                await client.disconnect(b"\x04")
    async with lives.next() as place:
        listener = await place.connect(level=5)
        await listener.subscribe(("will/+", 1))
        found = [listener.read_publish(await listener.expect(PUBLISH)) for _ in range(2)]
        assert {one.topic for one in found} == {"will/gone", "will/there"}
