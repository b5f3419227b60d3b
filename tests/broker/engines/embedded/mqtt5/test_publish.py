"""What of a PUBLISH is passed on, and what is each receiver's own."""

from pathlib import Path

from broker.engines.embedded import EmbeddedSettings
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.raw_client import (
    PUBACK,
    PUBLISH,
    PUBREC,
    Arrived,
    Packet,
    Place,
    RawClient,
    publish_packet,
    text,
)
from tests.broker.engines.embedded.raw_properties import (
    CONTENT_TYPE,
    CORRELATION,
    PAYLOAD_FORMAT,
    RESPONSE_TOPIC,
    SESSION_EXPIRY,
    USER_PROPERTY,
    prop,
)

KEPT = prop(SESSION_EXPIRY, 100)


async def test_a_message_is_passed_on_with_a_head_of_its_own(place: Place) -> None:
    """DUP and the number are of one connection, and QoS 0 has neither."""
    receivers: list[RawClient] = []
    for qos in (0, 1, 2):
        receivers.append(await place.connect(level=5))
        await receivers[-1].subscribe(("a", qos))
    sender = await place.connect(level=5)
    for qos, answer in ((1, PUBACK), (2, PUBREC)):
        sender.send(publish_packet("a", b"x", qos=qos, dup=True, packet_id=777, properties=b""))
        assert (await sender.expect(answer)).packet_id == 777
        for granted, receiver in enumerate(receivers):
            found = await receiver.expect(PUBLISH)
            own = b"" if granted == 0 else found.packet_id.to_bytes(2, "big")
            assert found == Packet(PUBLISH, min(granted, qos) << 1, text("a") + own + b"\0x")
            assert granted == 0 or found.packet_id not in (0, 777)


async def test_properties_are_passed_on_unchanged_and_in_order(tmp_path: Path) -> None:
    """To who is there, to who was away, to who comes later and to a group, also after a restart."""
    said = (
        prop(USER_PROPERTY, ("b", "1"))
        + prop(CORRELATION, b"\0\xff")
        + prop(USER_PROPERTY, ("a", "2"))
        + prop(CONTENT_TYPE, "text/plain; \u20ac")
        + prop(PAYLOAD_FORMAT, 1)
        + prop(USER_PROPERTY, ("b", ""))
        + prop(RESPONSE_TOPIC, "reply/me")
        + prop(USER_PROPERTY, ("", ""))
    )
    settings = EmbeddedSettings(listen=LOOPBACK, store=tmp_path / "broker.db")
    async with embedded(settings) as (_, place):
        away = await place.connect("away", level=5, properties=KEPT)
        await away.subscribe(("a", 1))
        await away.disconnect()
        live, old, member = await place.connect(level=5), await place.connect(), await place.connect(level=5)
        for client, wanted in ((live, "a"), (old, "a"), (member, "$share/g/a")):
            await client.subscribe((wanted, 1))
        await live.publish("a", b"x", qos=1, retain=True, properties=said)
        assert await live.pending() == [Arrived("a", b"x", 1, properties=said)]
        assert await member.pending() == [Arrived("a", b"x", 1, properties=said)]
        assert await old.pending() == [Arrived("a", b"x", 1)]
        late = await place.connect(level=5)
        await late.subscribe(("a", 0))
        assert await late.pending() == [Arrived("a", b"x", 0, retain=True, properties=said)]
    async with embedded(settings) as (_, place):
        away = await place.connect("away", clean=False, present=True, level=5)
        assert await away.pending() == [Arrived("a", b"x", 1, properties=said)]
        late = await place.connect(level=5)
        await late.subscribe(("a", 1))
        assert await late.pending() == [Arrived("a", b"x", 1, retain=True, properties=said)]


async def test_a_message_of_an_older_client_has_no_properties(place: Place) -> None:
    """Its payload begins where it does, and is no property."""
    listener, old = await place.connect(level=5), await place.connect()
    await listener.subscribe(("a", 1))
    await old.publish("a", b"\x05\x26", qos=1)
    assert await listener.pending() == [Arrived("a", b"\x05\x26", 1)]
