"""Packets as the standards say, byte for byte."""

import pytest

from broker.mqtt import kinds
from broker.mqtt.kinds import V5, V31, V311
from broker.mqtt.packets import Ack, Connack, Disconnect, Packet, Pong, Publish, Suback, Unsuback
from broker.mqtt.properties import Property, pack
from broker.mqtt.writing import LEAVE, PING, PONG, encode


def test_packet_types_have_the_numbers_of_the_standard() -> None:
    names = (
        *("CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK"),
        *("UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"),
    )
    assert [getattr(kinds, name) for name in names] == list(range(1, 16))


@pytest.mark.parametrize(
    ("version", "packet", "data"),
    [
        (V31, Connack(0, session_present=True), b"\x20\x02\0\0"),
        (V311, Connack(0, session_present=True), b"\x20\x02\x01\0"),
        (V311, Connack(0x84), b"\x20\x02\0\x01"),
        (V311, Connack(0x85), b"\x20\x02\0\x02"),
        (V311, Connack(0x88), b"\x20\x02\0\x03"),
        (V311, Connack(0x97), b"\x20\x02\0\x03"),
        (V311, Connack(0x86), b"\x20\x02\0\x04"),
        (V311, Connack(0x87), b"\x20\x02\0\x05"),
        (V5, Connack(0x84), b"\x20\x03\0\x84\0"),
        (V5, Connack(0, session_present=True, receive_maximum=10), b"\x20\x06\x01\0\x03\x21\0\x0a"),
        (V311, Suback(258, b"\0\1\2\x80"), b"\x90\x06\x01\x02\0\x01\x02\x80"),
        (V5, Suback(258, b"\0\x87"), b"\x90\x05\x01\x02\0\0\x87"),
        (V311, Unsuback(258), b"\xb0\x02\x01\x02"),
        (V5, Unsuback(258, b"\0\x11"), b"\xb0\x05\x01\x02\0\0\x11"),
        (V311, Ack(kinds.PUBREL, 7), b"\x62\x02\0\x07"),
        (V311, Ack(kinds.PUBACK, 7, 0x87, "no"), b"\x40\x02\0\x07"),
        (V5, Ack(kinds.PUBACK, 7), b"\x40\x02\0\x07"),
        (V5, Ack(kinds.PUBACK, 7, 0x87), b"\x40\x03\0\x07\x87"),
        (V5, Ack(kinds.PUBACK, 7, 0x87, "no"), b"\x40\x09\0\x07\x87\x05\x1f\0\x02no"),
        (V5, Disconnect(), b"\xe0\0"),
        (V5, Disconnect(0x8E), b"\xe0\x01\x8e"),
        (V311, Disconnect(0x8E), b"\xe0\0"),
        (V311, Pong(), b"\xd0\0"),
        (V311, Publish("a", b"x", 1, packet_id=7), b"\x32\x06\0\1a\0\7x"),
        (V5, Publish("a", b"x", 1, packet_id=7), b"\x32\x07\0\1a\0\7\0x"),
        (
            V5,
            Publish("a", b"x", expiry=9, alias=2, subscription_ids=(1, 128), passed=pack({3: "t"})),
            b"\x30\x16\0\1a\x11\x02\0\0\0\x09\x23\0\x02\x0b\x01\x0b\x80\x01\x03\0\x01tx",
        ),
    ],
)
def test_packets_are_written_as_the_standard_says(version: int, packet: Packet, data: bytes) -> None:
    assert encode(packet, version) == data


def test_what_never_changes_is_written_once() -> None:
    assert (PING, PONG, LEAVE) == (b"\xc0\0", b"\xd0\0", b"\xe0\0")


def test_a_long_suback_has_a_long_length() -> None:
    assert encode(Suback(1, bytes(300)), V311)[:3] == b"\x90\xae\x02"


def test_a_property_is_left_out_or_repeated() -> None:
    assert pack({Property.CONTENT_TYPE: None, Property.USER_PROPERTY: ()}) == b""
    assert pack({Property.USER_PROPERTY: (("a", "b"), ("a", "c"))}) == b"\x26\0\1a\0\1b\x26\0\1a\0\1c"


@pytest.mark.parametrize("text", ["x" * 65_536, "\u20ac" * 21_846])
def test_a_text_that_is_too_long_is_not_written(text: str) -> None:
    with pytest.raises(OverflowError):
        encode(Publish(text, b""), V311)
