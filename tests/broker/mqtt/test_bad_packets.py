"""What the standards forbid is refused, with the reason that MQTT 5 has for it."""

from typing import Any

import pytest

from broker.errors import ProtocolError
from broker.mqtt import kinds
from broker.mqtt.fields import read_length, write_length, write_text
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import PUBLISH, V5, V31, V311, VERSIONS
from broker.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from broker.mqtt.properties import (
    BYTE,
    DATA,
    FOUR,
    LENGTH,
    PAIR,
    TABLE,
    TEXT,
    TWO,
    WILL,
    Property,
    read_properties,
)
from broker.mqtt.writing import encode
from tests.broker.engines.embedded.raw_client import packet

MALFORMED, PROTOCOL = 0x81, 0x82
VALUES: dict[Any, Any] = {BYTE: 1, TWO: 1, FOUR: 1, LENGTH: 1, DATA: b"x", TEXT: "x", PAIR: ("a", "b")}
PACKETS = (*sorted(set(range(1, 16)) - {kinds.PINGREQ, kinds.PINGRESP}), WILL)


def one(kind: int, value: Any = None) -> bytes:
    """A property by itself."""
    form = TABLE[kind].form
    return bytes((kind,)) + form.write(VALUES[form] if value is None else value)


def block(*properties: bytes) -> bytes:
    data = b"".join(properties)
    return write_length(len(data)) + data


def refused(data: bytes, packet: int) -> int:
    with pytest.raises(ProtocolError) as caught:
        read_properties(data, 0, len(data), packet)
    return caught.value.reason


@pytest.mark.parametrize("kind", Property)
def test_a_property_stands_in_its_packets_alone(kind: Property) -> None:
    data = block(one(kind))
    for where in PACKETS:
        if where in TABLE[kind].packets:
            assert kind in read_properties(data, 0, len(data), where)[0]
        else:
            assert refused(data, where) == MALFORMED


@pytest.mark.parametrize("kind", Property)
def test_a_property_that_is_there_twice_is_a_protocol_error(kind: Property) -> None:
    data = block(one(kind), one(kind))
    for where in TABLE[kind].packets:
        if where in TABLE[kind].repeats:
            assert len(read_properties(data, 0, len(data), where)[0][kind]) == 2
        else:
            assert refused(data, where) == PROTOCOL


@pytest.mark.parametrize("kind", Property)
def test_a_property_that_is_cut_short_is_malformed(kind: Property) -> None:
    """Though the packet goes on behind the properties."""
    for where in TABLE[kind].packets:
        whole = one(kind)
        for end in range(1, len(whole)):
            assert refused(block(whole[:end]) + b"\0" * 50, where) == MALFORMED


def test_there_are_no_other_properties() -> None:
    for number in set(range(256)) - set(Property):
        assert refused(block(bytes((number, 0, 0, 0, 0))), PUBLISH) == MALFORMED


FLAGS = [kind for kind in Property if TABLE[kind].form is BYTE]


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        *((kind, 2, PROTOCOL) for kind in FLAGS),
        (Property.RECEIVE_MAXIMUM, 0, PROTOCOL),
        (Property.MAXIMUM_PACKET_SIZE, 0, PROTOCOL),
        (Property.SUBSCRIPTION_IDENTIFIER, 0, PROTOCOL),
        (Property.TOPIC_ALIAS, 0, 0x94),
        (Property.RESPONSE_TOPIC, "a/#", PROTOCOL),
        (Property.RESPONSE_TOPIC, "+/a", PROTOCOL),
        (Property.RESPONSE_TOPIC, "", PROTOCOL),
        (Property.USER_PROPERTY, ("a", "b\0"), MALFORMED),
        (Property.USER_PROPERTY, ("\0", "b"), MALFORMED),
    ],
)
def test_a_property_has_a_value_that_it_may_have(kind: Property, value: Any, reason: int) -> None:
    for where in TABLE[kind].packets:
        assert refused(block(one(kind, value)), where) == reason


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x00", b"\x81\x80\x00", b"\xff\xff\xff\xff\x01", b"\xff" * 4]
)
def test_a_length_is_as_short_as_it_can_be(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_length(data, 0, len(data))


@pytest.mark.parametrize("value", [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 0x0FFF_FFFF])
def test_lengths_at_their_bounds(value: int) -> None:
    written = write_length(value)
    assert read_length(written + b"\xff", 0, len(written)) == (value, len(written))


def complaint(version: int, data: bytes, *, from_broker: bool = False) -> int:
    framer = Framer(version=version if from_broker else 0)
    if not from_broker:
        list(framer.feed(encode(Connect(version=version, client_id="me"), version)))
    with pytest.raises(ProtocolError) as caught:
        list(framer.feed(data))
    return caught.value.reason


def publish(topic: bytes, rest: bytes = b"", *, flags: int = 0) -> bytes:
    return packet(PUBLISH, len(topic).to_bytes(2, "big") + topic + rest, flags=flags)


def subscribe(filter: str, options: int, version: int, number: int = 1) -> bytes:
    properties = b"\0" if version == V5 else b""
    body = number.to_bytes(2, "big") + properties + write_text(filter) + bytes((options,))
    return packet(kinds.SUBSCRIBE, body, flags=2)


NAMES = ["\0", "\x01", "\x1f", "\x7f", "\x9f", "\ufdd0", "\uffff", "\U0010ffff"]
"""What has no place in a topic, a filter or the name of anybody."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("character", NAMES)
def test_a_character_that_is_none(version: int, character: str) -> None:
    """Mosquitto closes the connection, too."""
    name = f"a{character}"
    assert complaint(version, encode(Subscribe(1, (Subscription(name, 0),)), version)) == MALFORMED
    assert complaint(version, encode(Unsubscribe(1, (name,)), version)) == MALFORMED
    will = Will(name, b"")
    for connect in (
        Connect(version=version, client_id=name),
        Connect(version=version, username=name),
        Connect(version=version, will=will),
    ):
        with pytest.raises(ProtocolError):
            list(Framer().feed(encode(connect, version)))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_topic_that_another_broker_takes_is_read(version: int) -> None:
    """A client would lose its connection by it again and again. Our broker looks at it by itself."""
    assert complaint(version, encode(Publish("a\0", b""), version)) == MALFORMED
    sent = Publish("a\x01", b"")
    assert list(Framer(version=version).feed(encode(sent, version))) == [sent]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "text", ["soft\xadhyphen", "\u202e", "\ufeff", "\ue000", "\u2028", "\U0001f980", "a b\xa0"]
)
def test_other_characters_are_taken_though_they_are_seldom(version: int, text: str) -> None:
    sent: list[Packet] = [Connect(version=version, client_id=text), Publish(text, b"")]
    assert list(Framer().feed(b"".join(encode(one, version) for one in sent))) == sent


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (publish(b"a", flags=6), MALFORMED),  # QoS 3
        (publish(b"a", b"\0", flags=8), MALFORMED),  # DUP with QoS 0
        (publish(b"a", b"\0\0\0", flags=2), PROTOCOL),  # packet identifier 0
        (publish(b"#", b"\0"), MALFORMED),
        (publish(b"a/+", b"\0"), MALFORMED),
        (publish(b"a\xff", b"\0"), MALFORMED),
        (publish(b"\xed\xa0\x80", b"\0"), MALFORMED),  # a surrogate
        (packet(PUBLISH, b"\0\5a"), MALFORMED),
        (packet(PUBLISH, b"\0"), MALFORMED),
        (packet(PUBLISH, b"\0\1a\0", flags=2), MALFORMED),
        (packet(kinds.PUBACK, b"\0\0"), PROTOCOL),
        (packet(kinds.PUBACK, b"\0"), MALFORMED),
        (packet(kinds.PUBACK, b"\0\1", flags=2), MALFORMED),
        (packet(kinds.PUBREL, b"\0\1"), MALFORMED),  # without its flag
        (packet(kinds.SUBSCRIBE, b"\0\1\0\0\1a\0"), MALFORMED),  # the same
        (packet(kinds.PINGREQ, b"\0"), MALFORMED),
        (packet(kinds.PINGREQ, flags=1), MALFORMED),
        (packet(0), MALFORMED),
        (packet(kinds.CONNACK, b"\0\0\0"), MALFORMED),
        (packet(kinds.SUBACK, b"\0\1\0\0"), MALFORMED),
        (packet(kinds.PINGRESP), MALFORMED),
    ],
)
def test_what_no_client_may_send(version: int, data: bytes, reason: int) -> None:
    assert complaint(version, data) == reason


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("filter", ["", "a#", "#/a", "a+", "+a/b", "a/#/b"])
def test_what_is_no_filter_ends_the_connection(version: int, filter: str) -> None:
    assert complaint(version, subscribe(filter, 0, version)) == MALFORMED
    assert complaint(version, encode(Unsubscribe(1, (filter,)), version)) == MALFORMED


def test_a_filter_of_many_levels_can_be_read() -> None:
    """Whoever finds it too deep says so in SUBACK."""
    wanted = Subscribe(1, (Subscription("a/" * 500 + "#", 0),))
    assert list(Framer().feed(encode(Connect(version=V311), V311) + encode(wanted, V311)))[1] == wanted


@pytest.mark.parametrize(
    "filter", ["$share/", "$share/g", "$share/g/", "$share//a", "$share/g+/a", "$share/#/a"]
)
def test_a_shared_filter_names_a_group_and_a_filter(filter: str) -> None:
    assert complaint(V5, subscribe(filter, 0, V5)) == MALFORMED


@pytest.mark.parametrize(
    ("version", "filter", "options", "reason"),
    [
        (V5, "a", 0x40, MALFORMED),
        (V5, "a", 0x80, MALFORMED),
        (V5, "a", 0x03, PROTOCOL),
        (V5, "a", 0x30, PROTOCOL),
        (V5, "$share/g/a", 0x04, PROTOCOL),
        (V311, "a", 0x04, MALFORMED),
        (V311, "a", 0x10, MALFORMED),
        (V311, "a", 0x03, PROTOCOL),
        (V31, "a", 0x03, PROTOCOL),
    ],
)
def test_the_options_of_a_subscription(version: int, filter: str, options: int, reason: int) -> None:
    assert complaint(version, subscribe(filter, options, version)) == reason


@pytest.mark.parametrize("version", VERSIONS)
def test_a_subscribe_has_a_number_and_a_filter(version: int) -> None:
    nothing = b"\0\1\0" if version == V5 else b"\0\1"
    assert complaint(version, subscribe("a", 0, version, number=0)) == PROTOCOL
    assert complaint(version, packet(kinds.SUBSCRIBE, nothing, flags=2)) == PROTOCOL
    assert complaint(version, packet(kinds.UNSUBSCRIBE, nothing, flags=2)) == PROTOCOL


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (publish(b"", b"\0"), PROTOCOL),  # neither topic nor alias
        (publish(b"a"), MALFORMED),  # no properties, not even none
        (publish(b"a", b"\x05\x03\0\0"), MALFORMED),  # properties longer than the packet
        (publish(b"a", b"\x80\0"), MALFORMED),  # a length of no need
        (publish(b"a", b"\x03\x03\0\x05hello"), MALFORMED),  # a property longer than the properties
        (packet(kinds.PUBACK, b"\0\1\x92"), PROTOCOL),
        (packet(kinds.PUBREL, b"\0\1\x80", flags=2), PROTOCOL),
        (packet(kinds.PUBACK, b"\0\1\0\0\0"), MALFORMED),  # more than it announces
        (packet(kinds.DISCONNECT, b"\x01"), PROTOCOL),
        (packet(kinds.DISCONNECT, b"\0\0\0"), MALFORMED),
        (packet(kinds.AUTH, b"\x18\0"), PROTOCOL),
        (b"\xc0\x80\x00", MALFORMED),  # a PINGREQ with a long length
    ],
)
def test_what_no_client_of_mqtt5_may_send(data: bytes, reason: int) -> None:
    assert complaint(V5, data) == reason


@pytest.mark.parametrize(
    "data",
    [
        publish(b""),
        packet(kinds.PUBACK, b"\0\1\0"),
        packet(kinds.DISCONNECT, b"\0"),
        packet(kinds.AUTH),
    ],
)
@pytest.mark.parametrize("version", [V31, V311])
def test_what_mqtt5_alone_has(version: int, data: bytes) -> None:
    assert complaint(version, data) in {MALFORMED, PROTOCOL}


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x20\x00",  # a CONNACK of nothing
        b"\x20\x02\x02\x00",  # reserved flags
        b"\xb0\x03\x00\x01\x00",  # an UNSUBACK with codes
        b"\x90\x03\x00\x01\x03",  # QoS 3
        b"\x82\x02\x00\x01",  # what only clients send
        b"\xc0\x00",
        b"\xe0\x00",
        b"\xf0\x00",
    ],
)
def test_what_no_broker_may_send(data: bytes) -> None:
    complaint(V311, data, from_broker=True)


@pytest.mark.parametrize(
    "packet", [Connack(0x8E), Suback(1, b"\x03"), Unsuback(1, b"\x01"), Disconnect(0x01)]
)
def test_a_broker_of_mqtt5_has_its_reasons(packet: Packet) -> None:
    assert complaint(V5, encode(packet, V5), from_broker=True) == PROTOCOL


def test_a_broker_of_another_version_refuses_in_its_own_words() -> None:
    assert list(Framer(version=V5).feed(b"\x20\x02\0\x01")) == [Connack(0x84)]
    assert list(Framer(version=V311).feed(b"\x20\x03\0\x84\0")) == [Connack(0x84)]


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        *((version, flags) for version in VERSIONS for flags in (0x01, 0x1C, 0x08, 0x20)),
        (V31, 0x40),
        (V311, 0x40),
    ],
)
def test_the_flags_of_a_connect(version: int, flags: int) -> None:
    """Reserved; a will's QoS of 3; what wills have, without one; before MQTT 5 a password without a user."""
    whole = encode(Connect(version=version), version)
    at = 2 + 2 + len(kinds.PROTOCOL_NAMES[version]) + 1
    with pytest.raises(ProtocolError) as caught:
        list(Framer().feed(packet(1, whole[2:at] + bytes((flags,)) + whole[at + 1 :] + b"\0\0\0\0\0\0\0")))
    assert caught.value.reason == MALFORMED


def test_who_proves_something_says_how() -> None:
    with pytest.raises(ProtocolError) as caught:
        list(Framer().feed(encode(Connect(version=V5, auth_data=b"x"), V5)))
    assert caught.value.reason == PROTOCOL


def test_a_password_needs_no_user_in_mqtt5() -> None:
    connect = Connect(version=V5, password=b"x")
    assert list(Framer().feed(encode(connect, V5))) == [connect]
