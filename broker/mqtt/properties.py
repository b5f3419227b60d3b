"""The properties of MQTT 5 packets (2.2.2): their table, read strictly, and written. No I/O."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from broker.errors import ProtocolError
from broker.mqtt.fields import (
    check_topic,
    read_data,
    read_length,
    read_text,
    write_data,
    write_length,
    write_text,
)
from broker.mqtt.kinds import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    MAX_PACKET,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
)
from broker.mqtt.reasons import Reason

WILL = 0
"""Stands for the will in a CONNECT, whose properties are apart from the packet's."""

Properties = Mapping[int, Any]
"""Values by identifier: int, str or bytes; user properties as a tuple of pairs, and subscription identifiers
of a PUBLISH as a tuple of numbers."""


class Property(IntEnum):
    """The identifiers."""

    PAYLOAD_FORMAT_INDICATOR = 0x01
    MESSAGE_EXPIRY_INTERVAL = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY_INTERVAL = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY_INTERVAL = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


class Form(NamedTuple):
    """How values are written: read from a place in bytes up to an end, and made bytes."""

    read: Callable[[bytes, int, int], tuple[Any, int]]
    write: Callable[[Any], bytes]


def _number(size: int) -> Form:
    def read(data: bytes, at: int, end: int) -> tuple[int, int]:
        start, at = at, at + size
        if at > end:
            raise ProtocolError("a property ends in the middle")
        return int.from_bytes(data[start:at], "big"), at

    return Form(read, lambda value: value.to_bytes(size, "big"))


def _read_pair(data: bytes, at: int, end: int) -> tuple[tuple[str, str], int]:
    name, at = read_text(data, at, end)
    value, at = read_text(data, at, end)
    return (name, value), at


BYTE, TWO, FOUR = _number(1), _number(2), _number(4)
LENGTH = Form(read_length, write_length)
DATA = Form(read_data, write_data)
TEXT = Form(read_text, write_text)
PAIR = Form(_read_pair, lambda pair: write_text(pair[0]) + write_text(pair[1]))


class Rule(NamedTuple):
    """How a property is written, the packets that it may stand in and repeat in, and what checks it."""

    form: Form
    packets: frozenset[int]
    repeats: frozenset[int] = frozenset()
    check: Callable[[Any], None] | None = None


def _flag(value: int) -> None:
    if value > 1:
        raise ProtocolError(f"a property that says yes or no is {value}", Reason.PROTOCOL_ERROR)


def _positive(value: int) -> None:
    if not value:
        raise ProtocolError("a property is 0 that may not be", Reason.PROTOCOL_ERROR)


def _alias(value: int) -> None:
    if not value:
        raise ProtocolError("a topic alias is 0", Reason.TOPIC_ALIAS_INVALID)


def _response_topic(topic: str) -> None:
    try:
        check_topic(topic)
    except ProtocolError as fault:
        raise ProtocolError(f"a response topic: {fault}", Reason.PROTOCOL_ERROR) from fault


_MESSAGE = frozenset((PUBLISH, WILL))
_ANSWERS = frozenset((CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH))
_ALL = _MESSAGE | _ANSWERS | {CONNECT, SUBSCRIBE, UNSUBSCRIBE}
_LOGIN = frozenset((CONNECT, CONNACK, AUTH))
_BOTH = frozenset((CONNECT, CONNACK))
_CONNECT, _CONNACK, _PUBLISH = frozenset((CONNECT,)), frozenset((CONNACK,)), frozenset((PUBLISH,))

TABLE: dict[int, Rule] = {
    Property.PAYLOAD_FORMAT_INDICATOR: Rule(BYTE, _MESSAGE, check=_flag),
    Property.MESSAGE_EXPIRY_INTERVAL: Rule(FOUR, _MESSAGE),
    Property.CONTENT_TYPE: Rule(TEXT, _MESSAGE),
    Property.RESPONSE_TOPIC: Rule(TEXT, _MESSAGE, check=_response_topic),
    Property.CORRELATION_DATA: Rule(DATA, _MESSAGE),
    Property.SUBSCRIPTION_IDENTIFIER: Rule(LENGTH, _PUBLISH | {SUBSCRIBE}, _PUBLISH, _positive),
    Property.SESSION_EXPIRY_INTERVAL: Rule(FOUR, _BOTH | {DISCONNECT}),
    Property.ASSIGNED_CLIENT_IDENTIFIER: Rule(TEXT, _CONNACK),
    Property.SERVER_KEEP_ALIVE: Rule(TWO, _CONNACK),
    Property.AUTHENTICATION_METHOD: Rule(TEXT, _LOGIN),
    Property.AUTHENTICATION_DATA: Rule(DATA, _LOGIN),
    Property.REQUEST_PROBLEM_INFORMATION: Rule(BYTE, _CONNECT, check=_flag),
    Property.WILL_DELAY_INTERVAL: Rule(FOUR, frozenset((WILL,))),
    Property.REQUEST_RESPONSE_INFORMATION: Rule(BYTE, _CONNECT, check=_flag),
    Property.RESPONSE_INFORMATION: Rule(TEXT, _CONNACK),
    Property.SERVER_REFERENCE: Rule(TEXT, _CONNACK | {DISCONNECT}),
    Property.REASON_STRING: Rule(TEXT, _ANSWERS),
    Property.RECEIVE_MAXIMUM: Rule(TWO, _BOTH, check=_positive),
    Property.TOPIC_ALIAS_MAXIMUM: Rule(TWO, _BOTH),
    Property.TOPIC_ALIAS: Rule(TWO, _PUBLISH, check=_alias),
    Property.MAXIMUM_QOS: Rule(BYTE, _CONNACK, check=_flag),
    Property.RETAIN_AVAILABLE: Rule(BYTE, _CONNACK, check=_flag),
    Property.USER_PROPERTY: Rule(PAIR, _ALL, _ALL),
    Property.MAXIMUM_PACKET_SIZE: Rule(FOUR, _BOTH, check=_positive),
    Property.WILDCARD_SUBSCRIPTION_AVAILABLE: Rule(BYTE, _CONNACK, check=_flag),
    Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE: Rule(BYTE, _CONNACK, check=_flag),
    Property.SHARED_SUBSCRIPTION_AVAILABLE: Rule(BYTE, _CONNACK, check=_flag),
}

PASSED_ON = frozenset(
    map(
        int,
        (
            Property.PAYLOAD_FORMAT_INDICATOR,
            Property.CONTENT_TYPE,
            Property.RESPONSE_TOPIC,
            Property.CORRELATION_DATA,
            Property.USER_PROPERTY,
        ),
    )
)
"""What a broker passes on to subscribers as it came, in its order."""

NO_PROPERTIES = b"\0"
"""How a packet of MQTT 5 says that it has none."""

_NONE: Properties = {}

_RULES = {
    packet: {
        int(kind): (
            rule.form.read,
            rule.check,
            packet in rule.repeats,
            packet in _MESSAGE and kind in PASSED_ON,
        )
        for kind, rule in TABLE.items()
        if packet in rule.packets
    }
    for packet in _ALL
}
"""The same by packet: how a property is read and checked, whether it repeats and is passed on."""


def read_properties(
    data: bytes, at: int, end: int, packet: int, most: int = MAX_PACKET
) -> tuple[Properties, bytes, int]:
    """Read the properties of a packet of this type, or of a WILL. Raises ProtocolError.

    Gives them, those that are PASSED_ON as the bytes they came in, and where they end. More than `most` bytes
    of them are refused.
    """
    length, at = read_length(data, at, end)
    if not length:
        return _NONE, b"", at
    if at + length > end:
        raise ProtocolError("the properties are longer than their packet")
    if length > most:
        raise ProtocolError(
            f"properties of {length} bytes are more than the {most} that are taken", Reason.PACKET_TOO_LARGE
        )
    return *_read(data, at, at + length, packet), at + length


def unpack(passed: bytes) -> Properties:
    """Read what was PASSED_ON. Raises ProtocolError for what did not come from a packet."""
    return _read(passed, 0, len(passed), PUBLISH)[0] if passed else _NONE


def _read(data: bytes, at: int, end: int, packet: int) -> tuple[Properties, bytes]:
    rules = _RULES[packet]
    found: dict[int, Any] = {}
    # There may be a million user properties in a packet: gathered, and put together once.
    repeated: dict[int, list[Any]] = {}
    passed = []
    while at < end:
        start, kind = at, data[at]
        rule = rules.get(kind)
        if rule is None:
            raise ProtocolError(f"there is no property {kind:#04x} in this packet")
        read, check, repeats, is_passed_on = rule
        value, at = read(data, at + 1, end)
        if check is not None:
            check(value)
        if repeats:
            repeated.setdefault(kind, []).append(value)
        elif kind in found:
            raise ProtocolError(f"property {kind:#04x} is there twice", Reason.PROTOCOL_ERROR)
        else:
            found[kind] = value
        if is_passed_on:
            passed.append(data[start:at])
    for kind, values in repeated.items():
        found[kind] = tuple(values)
    return found, b"".join(passed)


def pack(values: Properties) -> bytes:
    """Write properties without their length; None is left out, and a tuple repeats its property.

    Raises OverflowError for a text or number that is too large.
    """
    written = bytearray()
    for kind, value in values.items():
        if value is not None:
            write = TABLE[kind].form.write
            for one in value if isinstance(value, tuple) else (value,):
                written.append(kind)
                written += write(one)
    return bytes(written)


def with_length(packed: bytes) -> bytes:
    """Put the length before packed properties."""
    return write_length(len(packed)) + packed


def write_properties(values: Properties) -> bytes:
    """Write properties with their length before them, as `pack` does."""
    return with_length(pack(values))
