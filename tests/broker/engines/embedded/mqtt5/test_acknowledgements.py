"""What is acknowledged in MQTT 5, when, and with which reason."""

import asyncio

import pytest

from broker.contract.message import Message
from broker.contract.refusal import Refusal, Taken
from broker.engines.embedded import AllowAll, EmbeddedSettings, Login
from broker.mqtt.reasons import CODES
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.mqtt5.endings import said_in
from tests.broker.engines.embedded.raw_client import (
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    Arrived,
    Packet,
    Place,
    packet,
    publish_packet,
    sized,
    text,
    unsized,
)
from tests.broker.engines.embedded.raw_properties import (
    REASON_STRING,
    RECEIVE_MAXIMUM,
    REQUEST_PROBLEM,
    SESSION_EXPIRY,
    USER_PROPERTY,
    Value,
    prop,
    props,
)

KEPT = prop(SESSION_EXPIRY, 100)
REASONS = {"overloaded": 0x97, "payload": 0x99, "topic": 0x90, "unknown": 0x83, "forbidden": 0x87}


class Doorman(AllowAll):
    """What is `secret` is for nobody."""

    def may_publish(self, login: Login, topic: str) -> bool:  # noqa: ARG002  # the contract's
        return topic != "secret"

    def may_subscribe(self, login: Login, filter: str) -> bool:  # noqa: ARG002
        return filter != "secret"


def refuse(message: Message) -> Taken:
    """A node that refuses what is under `now` at once, and what is under `later` later."""
    when, _, why = message.topic.partition("/")
    refusal = Refusal(REASONS[why], f"it is {why}") if why else None
    if when == "now":
        return refusal
    later: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(later.set_result, refusal)
    return later


def reason_in(ack: Packet) -> int:
    reason = ack.body[2] if len(ack.body) > 2 else 0
    assert reason in CODES[ack.kind]
    return reason


def said(ack: Packet) -> dict[int, Value]:
    """The properties of an acknowledgement."""
    return dict(said_in(ack.body[3:]))


async def test_each_qos_is_acknowledged_under_its_number() -> None:
    """Once the node has stored the message, and not before."""
    stored: list[asyncio.Future[None]] = []

    def receive(_: Message) -> asyncio.Future[None]:
        stored.append(asyncio.get_running_loop().create_future())
        return stored[-1]

    async with embedded(receiver=receive, filters=("task",)) as (_, place):
        client = await place.connect(level=5)
        for qos in (0, 1, 2):
            client.send(publish_packet("task", b"x", qos=qos, packet_id=700 + qos, properties=b""))
        assert await client.ping() == []
        for one in stored:
            one.set_result(None)
        assert await client.expect(PUBACK) == Packet(PUBACK, 0, b"\x02\xbd")
        assert await client.expect(PUBREC) == Packet(PUBREC, 0, b"\x02\xbe")
        client.send_ack(PUBREL, 702)
        assert await client.expect(PUBCOMP) == Packet(PUBCOMP, 0, b"\x02\xbe")
        assert await client.ping() == []


@pytest.mark.parametrize("reason", [0, 0x10])
async def test_a_received_message_is_released_under_its_number(place: Place, reason: int) -> None:
    client = await place.connect(level=5)
    await client.subscribe(("a", 2))
    await client.publish("a", b"x", qos=2)
    number = (await client.expect(PUBLISH)).packet_id
    client.send_ack(PUBREC, number, reason)
    assert await client.expect(PUBREL) == Packet(PUBREL, 2, number.to_bytes(2, "big"))
    client.send_ack(PUBCOMP, number)
    assert await client.ping() == []


@pytest.mark.parametrize(("qos", "answer"), [(1, PUBACK), (2, PUBREC)])
@pytest.mark.parametrize("when", ["now", "later"])
async def test_reasons_are_those_of_their_packet(qos: int, answer: int, when: str) -> None:
    """With a sentence beside each; what goes well has neither."""
    async with embedded(receiver=refuse, filters=("now/#", "later/#"), access=Doorman()) as (_, place):
        client = await place.connect(level=5)
        topics = {f"{when}/{why}": reason for why, reason in REASONS.items()}
        topics |= {"secret": 0x87, when: 0, "elsewhere": 0}
        for number, topic in enumerate(topics, 1):
            client.send(publish_packet(topic, b"x", qos=qos, packet_id=number, properties=b""))
        for number, (topic, reason) in enumerate(topics.items(), 1):
            found = await client.expect(answer)
            assert (found.packet_id, reason_in(found)) == (number, reason), topic
            assert (REASON_STRING in said(found)) is bool(reason)
        assert await client.ping() == []


async def test_numbers_that_nobody_knows_are_answered_so(place: Place) -> None:
    client = await place.connect(level=5)
    client.send_ack(PUBREL, 9)
    assert await client.expect(PUBCOMP) == Packet(PUBCOMP, 0, b"\0\x09\x92")
    client.send_ack(PUBREC, 9)
    assert await client.expect(PUBREL) == Packet(PUBREL, 2, b"\0\x09\x92")
    for kind in (PUBACK, PUBCOMP):
        client.send_ack(kind, 9)
    client.send_ack(PUBREC, 9, 0x80)
    assert await client.ping() == []


@pytest.mark.parametrize(
    ("topic", "qos"), [("now", 1), ("now", 2), ("now/overloaded", 1), ("now/overloaded", 2), ("secret", 2)]
)
async def test_a_number_is_free_after_its_exchange(topic: str, qos: int) -> None:
    """Whatever DUP says: what comes under it is another message."""
    heard = []

    def receive(message: Message) -> Taken:
        heard.append(message.payload)
        return refuse(message)

    async with embedded(receiver=receive, filters=("now/#",), access=Doorman()) as (engine, place):
        client = await place.connect(level=5)
        for payload in (b"1", b"2", b"3"):
            client.send(publish_packet(topic, payload, qos=qos, dup=True, packet_id=5, properties=b""))
            found = await client.expect(PUBACK if qos == 1 else PUBREC)
            if qos == 2 and reason_in(found) < 0x80:
                client.send_ack(PUBREL, 5)
                assert reason_in(await client.expect(PUBCOMP)) == 0
        if topic == "secret":
            assert engine.counters.dropped_denied == 3
        else:
            assert heard == [b"1", b"2", b"3"]


async def test_a_refused_message_has_nothing_to_be_released() -> None:
    async with embedded(access=Doorman()) as (_, place):
        client = await place.connect(level=5)
        client.send(publish_packet("secret", b"x", qos=2, packet_id=5, properties=b""))
        assert reason_in(await client.expect(PUBREC)) == 0x87
        client.send_ack(PUBREL, 5)
        assert reason_in(await client.expect(PUBCOMP)) == 0x92


@pytest.mark.parametrize(
    ("qos", "answer", "reason"), [(1, PUBACK, 0x83), (1, PUBACK, 0x99), (2, PUBREC, 0x80), (2, PUBREC, 0x97)]
)
async def test_a_message_that_its_receiver_refuses_is_not_sent_again(
    place: Place, qos: int, answer: int, reason: int
) -> None:
    """Its place is free for the next, and it has nothing to be released."""
    client = await place.connect("me", level=5, properties=KEPT + prop(RECEIVE_MAXIMUM, 1))
    await client.subscribe(("a", qos))
    for payload in (b"1", b"2"):
        await client.publish("a", payload, qos=1 if qos == 1 else 2)
    first = await client.expect(PUBLISH)
    assert await client.ping() == []
    client.send_ack(answer, first.packet_id, reason)
    assert client.read_publish(await client.expect(PUBLISH)) == Arrived("a", b"2", qos)
    assert await client.ping() == []
    client.drop()
    client = await place.connect("me", clean=False, present=True, level=5, properties=KEPT)
    assert await client.pending() == [Arrived("a", b"2", qos, dup=True)]


@pytest.mark.parametrize("wanted", [None, 0, 1])
async def test_without_problem_information_no_reason_is_spelled_out(wanted: int | None) -> None:
    """The codes are told all the same, and a message keeps its user properties."""
    asked = b"" if wanted is None else prop(REQUEST_PROBLEM, wanted)
    settings = EmbeddedSettings(listen=LOOPBACK, topic_levels=3)
    async with embedded(settings, receiver=refuse, filters=("now/#",), access=Doorman()) as (_, place):
        client = await place.connect(level=5, properties=asked)
        for qos, answer in ((1, PUBACK), (2, PUBREC)):
            for topic, reason in (("secret", 0x87), ("now/overloaded", 0x97)):
                client.send(publish_packet(topic, b"x", qos=qos, properties=b""))
                found = await client.expect(answer)
                assert reason_in(found) == reason
                assert set(said(found)) == (set() if wanted == 0 else {REASON_STRING})
        client.send_ack(PUBREL, 9)
        assert await client.expect(PUBCOMP) == Packet(PUBCOMP, 0, b"\0\x09\x92")
        filters = ("secret", "a/b/c/d", "a")
        subscribe = b"".join(text(one) + b"\0" for one in filters)
        client.send(packet(SUBSCRIBE, b"\0\1\0" + subscribe, flags=2))
        properties, codes = unsized((await client.expect(SUBACK)).body[2:])
        assert codes == b"\x87\x8f\0"
        assert wanted != 0 or properties == b""
        client.send(packet(UNSUBSCRIBE, b"\0\2" + sized(b"") + text("never"), flags=2))
        properties, codes = unsized((await client.expect(UNSUBACK)).body[2:])
        assert codes == b"\x11"
        assert wanted != 0 or properties == b""
        await client.publish("a", b"x", properties=prop(USER_PROPERTY, ("k", "v")))
        [arrived] = await client.pending()
        assert props(arrived.properties) == [(USER_PROPERTY, ("k", "v"))]
