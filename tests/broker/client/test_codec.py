"""What the client writes is read back, however it is cut up; what is not MQTT is refused, never a crash."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from broker.client import packets
from broker.client.decoding import Reader
from broker.client.encoding import encode_ack, encode_publish
from broker.client.packets import Ack, Connack, Disconnect, Pong, Publish, Suback, Unsuback
from broker.client.properties import Properties, read_length, write_length
from broker.contract.message import Message
from broker.errors import ProtocolError

topics = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=40)
version = st.booleans()


@st.composite
def published(draw: st.DrawFn) -> tuple[Message, int]:
    qos = draw(st.integers(0, 2))
    message = Message(
        topic=draw(topics),
        payload=draw(st.binary(max_size=300)),
        qos=qos,
        retain=draw(st.booleans()),
        response_topic=draw(st.none() | topics),
        correlation=draw(st.none() | st.binary(max_size=40)),
        expiry=draw(st.none() | st.integers(1, 0xFFFF_FFFF)),
    )
    return message, draw(st.integers(1, 0xFFFF)) if qos else 0


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(st.lists(published(), min_size=1, max_size=5), st.lists(st.integers(0, 10_000), max_size=8))
def test_mqtt5_messages_are_read_back_however_the_stream_is_cut(
    sent: list[tuple[Message, int]], cuts: list[int]
) -> None:
    stream = b"".join(encode_publish(message, number, mqtt5=True) for message, number in sent)
    reader = Reader(mqtt5=True)
    read = [packet for piece in pieces(stream, cuts) for packet in reader.feed(piece)]
    assert read == [Publish(message, number) for message, number in sent]


@given(published(), st.booleans())
def test_mqtt_3_messages_are_read_back_without_properties(sent: tuple[Message, int], dup: bool) -> None:
    message, number = sent
    (read,) = Reader(mqtt5=False).feed(encode_publish(message, number, mqtt5=False, dup=dup))
    plain = Message(topic=message.topic, payload=message.payload, qos=message.qos, retain=message.retain)
    assert read == Publish(plain, number)


@given(st.integers(0, 0x0FFF_FFFF))
def test_lengths_are_read_back(value: int) -> None:
    written = write_length(value)
    assert read_length(written, 0) == (value, len(written))


@given(st.binary(max_size=30), topics, st.lists(st.tuples(topics, topics), max_size=3))
def test_properties_that_paho_writes_are_read(
    correlation: bytes, topic: str, user: list[tuple[str, str]]
) -> None:
    theirs = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    theirs.CorrelationData = correlation
    theirs.ResponseTopic = topic
    theirs.MessageExpiryInterval = 7
    if user:
        theirs.UserProperty = user
    written: bytes = theirs.pack()  # type: ignore[no-untyped-call]
    length, at = read_length(written, 0)
    ours = Properties(written[at : at + length])
    assert ours.data(0x09) == correlation
    assert ours.text(0x08) == topic
    assert ours.number(0x02) == 7


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (b"\x20\x02\x01\x00", Connack(0, session_present=True)),
        (b"\x20\x02\x00\x05", Connack(5)),
        (b"\x40\x02\x00\x07", Ack(packets.PUBACK, 7)),
        (encode_ack(packets.PUBREL, 258), Ack(packets.PUBREL, 258)),
        (b"\x90\x04\x00\x01\x01\x80", Suback(b"\x01\x80")),
        (b"\xb0\x02\x00\x01", Unsuback()),
        (b"\xd0\x00", Pong()),
    ],
)
def test_other_packets(data: bytes, read: object) -> None:
    assert list(Reader(mqtt5=False).feed(data)) == [read]


def test_the_limits_of_an_mqtt5_broker_are_read() -> None:
    data = b"\x20\x0e\x00\x00\x0b\x21\x00\x0a\x27\x00\x01\x00\x00\x13\x00\x3c"
    connack = Connack(0, receive_maximum=10, max_packet=65536, keepalive=60)
    assert list(Reader(mqtt5=True).feed(data)) == [connack]


def test_why_an_mqtt5_broker_disconnects_is_read() -> None:
    assert list(Reader(mqtt5=True).feed(b"\xe0\x02\x8e\x00")) == [Disconnect(0x8E)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x36\x05\x00\x01a\x00\x01",  # QoS 3
        b"\x32\x05\x00\x01a\x00\x00",  # QoS 1 under the number 0
        b"\x30\x03\x00\x05a",  # a topic longer than its packet
        b"\x30\x04\x00\x01\xff\x00",  # a topic that is not UTF-8
        b"\x40\x01\x00",  # an acknowledgement of half a number
        b"\x20\x00",  # a CONNACK of nothing
        b"\x82\x02\x00\x01",  # what only clients send
        b"\x00\x00",  # no packet type
    ],
)
def test_what_is_not_mqtt_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Reader(mqtt5=False).feed(data))


@given(version, st.binary(max_size=200))
def test_no_bytes_raise_anything_else(mqtt5: bool, data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        list(Reader(mqtt5=mqtt5).feed(data))
