"""The heads of packets, what a CONNECT holds, and properties that are none."""

import pytest

from broker.errors import ProtocolError
from broker.mqtt import kinds
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import PUBLISH, V5, V31, V311
from broker.mqtt.packets import (
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Ping,
    Pong,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from broker.mqtt.reading import read_packet
from broker.mqtt.writing import encode
from tests.broker.engines.embedded.raw_client import packet, text, unsized

MALFORMED, PROTOCOL = 0x81, 0x82

EACH: dict[int, Packet] = {
    kinds.CONNECT: Connect(version=V5, client_id="me"),
    kinds.CONNACK: Connack(),
    **{kind: Ack(kind, 1) for kind in (kinds.PUBACK, kinds.PUBREC, kinds.PUBREL, kinds.PUBCOMP)},
    kinds.SUBSCRIBE: Subscribe(1, (Subscription("a", 0),)),
    kinds.SUBACK: Suback(1, b"\0"),
    kinds.UNSUBSCRIBE: Unsubscribe(1, ("a",)),
    kinds.UNSUBACK: Unsuback(1, b"\0"),
    kinds.PINGREQ: Ping(),
    kinds.PINGRESP: Pong(),
    kinds.DISCONNECT: Disconnect(),
    kinds.AUTH: Auth(),
}
"""One of each type but PUBLISH, whose flags mean something."""


def body_of(data: bytes) -> bytes:
    return unsized(data[1:])[0]


def reason_of_fault(data: bytes) -> int:
    with pytest.raises(ProtocolError) as caught:
        list(Framer().feed(data))
    return caught.value.reason


@pytest.mark.parametrize("version", [V311, V5])
@pytest.mark.parametrize("kind", EACH)
def test_wrong_fixed_flags_are_malformed(kind: int, version: int) -> None:
    """Each of the fifteen values but the one that its type is written with."""
    data = encode(EACH[kind], version)
    right = 2 if kind in (kinds.PUBREL, kinds.SUBSCRIBE, kinds.UNSUBSCRIBE) else 0
    assert data[0] == kind << 4 | right
    body = body_of(data)
    for flags in set(range(16)) - {right}:
        with pytest.raises(ProtocolError) as caught:
            read_packet(kind << 4 | flags, body, 0, len(body), version)
        assert caught.value.reason == MALFORMED


def test_a_connect_holds_what_its_flags_say() -> None:
    """All that is announced is there, in its order, and nothing else."""
    will = b"\x05\x18\0\0\0\x07" + text("gone") + text("x")
    fields = {0: text("me"), 0x04: will, 0x80: text("ann"), 0x40: text("secret")}

    def connect(flags: int, *present: int) -> bytes:
        head = text("MQTT") + bytes((5, flags, 0, 9)) + b"\0"
        return packet(kinds.CONNECT, head + b"".join(fields[one] for one in present))

    assert list(Framer().feed(connect(0xF4, *fields))) == [
        Connect(
            version=V5,
            client_id="me",
            clean_start=False,
            keepalive=9,
            will=Will("gone", b"x", 2, retain=True, delay=7),
            username="ann",
            password=b"secret",
        )
    ]
    for one in fields:
        assert reason_of_fault(connect(0xC4, *(other for other in fields if other != one))) == MALFORMED
    for flag in (0x04, 0x80, 0x40):
        assert reason_of_fault(connect(0xC4 & ~flag, *fields)) == MALFORMED
    fields[0x04] = text("gone") + text("x")
    assert reason_of_fault(connect(0xC4, *fields)) == MALFORMED


@pytest.mark.parametrize("version", [V31, V311])
def test_a_connect_before_mqtt5_holds_what_its_flags_say(version: int) -> None:
    fields = {0: text("me"), 0x04: text("gone") + text("x"), 0x80: text("ann"), 0x40: text("secret")}

    def connect(flags: int, *present: int) -> bytes:
        head = text(kinds.PROTOCOL_NAMES[version]) + bytes((version, flags, 0, 9))
        return packet(kinds.CONNECT, head + b"".join(fields[one] for one in present))

    found = list(Framer().feed(connect(0xC6, *fields)))
    assert found == [
        Connect(
            version=version,
            client_id="me",
            keepalive=9,
            will=Will("gone", b"x"),
            username="ann",
            password=b"secret",
        )
    ]
    for one in fields:
        assert reason_of_fault(connect(0xC6, *(other for other in fields if other != one))) == MALFORMED
    for flag in (0x04, 0x40, 0xC0):
        assert reason_of_fault(connect(0xC6 & ~flag, *fields)) == MALFORMED


BEHIND_NUMBER = (kinds.SUBSCRIBE, kinds.SUBACK, kinds.UNSUBSCRIBE, kinds.UNSUBACK)


def test_no_properties_are_a_zero_byte() -> None:
    """Acknowledgements and DISCONNECT leave out their reason with it, where all is well."""
    assert encode(EACH[kinds.CONNECT], V5)[12] == 0
    assert body_of(encode(EACH[kinds.CONNACK], V5)) == b"\0\0\0"
    assert body_of(encode(Publish("a", b"x"), V5)) == b"\0\1a\0x"
    for kind in BEHIND_NUMBER:
        assert body_of(encode(EACH[kind], V5))[:3] == b"\0\1\0"
    for kind in (kinds.PUBACK, kinds.PUBREC, kinds.PUBREL, kinds.PUBCOMP):
        assert body_of(encode(EACH[kind], V5)) == b"\0\1"
    for kind in (kinds.DISCONNECT, kinds.AUTH):
        assert body_of(encode(EACH[kind], V5)) == b""


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (kinds.CONNECT, text("MQTT") + b"\x05\x02\0\0"),
        (kinds.CONNACK, b"\0"),
        (PUBLISH, text("a")),
        *((kind, b"\0\1") for kind in BEHIND_NUMBER),
    ],
)
def test_properties_are_not_left_out(kind: int, body: bytes) -> None:
    flags = 2 if kind in (kinds.SUBSCRIBE, kinds.UNSUBSCRIBE) else 0
    with pytest.raises(ProtocolError) as caught:
        read_packet(kind << 4 | flags, body, 0, len(body), V5)
    assert caught.value.reason == MALFORMED
