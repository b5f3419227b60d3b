"""Clients of MQTT 5 that ask each other by response topics."""

import pytest

from tests.broker.engines.embedded.raw_client import DISCONNECT, Arrived, Place, publish_packet, text
from tests.broker.engines.embedded.raw_properties import CORRELATION, RESPONSE_TOPIC, prop, props


@pytest.mark.parametrize("correlation", [b"", b"\0", b"7", bytes(range(256))])
async def test_an_answer_finds_who_has_asked(place: Place, correlation: bytes) -> None:
    """By the response topic and the correlation data, which come as they were sent."""
    asking, answering = await place.connect(level=5), await place.connect(level=5)
    await asking.subscribe(("reply/asking", 1))
    await answering.subscribe(("work", 1))
    said = prop(RESPONSE_TOPIC, "reply/asking") + prop(CORRELATION, correlation)
    await asking.publish("work", b"?", qos=1, properties=said)
    (asked,) = await answering.pending()
    assert asked == Arrived("work", b"?", 1, properties=said)
    told = dict(props(asked.properties))
    answer = prop(CORRELATION, told[CORRELATION])
    await answering.publish(str(told[RESPONSE_TOPIC]), b"!", qos=1, properties=answer)
    assert await asking.pending() == [Arrived("reply/asking", b"!", 1, properties=answer)]


@pytest.mark.parametrize("topic", ["reply/+", "reply/#", "+", ""])
async def test_nobody_can_be_answered_at_a_wildcard(place: Place, topic: str) -> None:
    """Such a request reaches nobody."""
    asking, answering = await place.connect(level=5), await place.connect(level=5)
    await answering.subscribe(("work", 1))
    asking.send(publish_packet("work", b"?", qos=1, properties=b"\x08" + text(topic)))
    assert (await asking.expect(DISCONNECT)).body[:1] == b"\x82"
    assert await asking.closed()
    assert await answering.pending() == []
