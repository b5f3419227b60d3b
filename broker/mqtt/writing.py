"""Writes packets of all versions: values in, bytes out. No I/O."""

from msgspec.structs import replace

from broker.mqtt.connecting import encode_connack, encode_connect
from broker.mqtt.fields import write_length, write_text
from broker.mqtt.kinds import (
    AUTH,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBLISH,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    V5,
)
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
)
from broker.mqtt.properties import NO_PROPERTIES, Properties, Property, with_length, write_properties

Answer = Ack | Connack | Disconnect | Suback | Unsuback
"""What a broker sends with a reason that it may spell out."""

PING = bytes((PINGREQ << 4, 0))
PONG = bytes((PINGRESP << 4, 0))
LEAVE = bytes((DISCONNECT << 4, 0))
"""A DISCONNECT in all versions: all is well, and the will is not to be sent."""

_EXPIRY = bytes((Property.MESSAGE_EXPIRY_INTERVAL,))
_ALIAS = bytes((Property.TOPIC_ALIAS,))
_SUBSCRIPTION_ID = bytes((Property.SUBSCRIPTION_IDENTIFIER,))


def encode(packet: Packet, version: int) -> bytes:
    """Write any packet. What its version does not have is left out.

    Raises OverflowError for a field that is longer, or a number that is greater, than MQTT can write.
    """
    match packet:
        case Publish():
            written = _publish(packet, version)
        case Ack(kind, packet_id, reason, text):
            why = (reason, text) if version == V5 else ()
            written = encode_ack(kind, packet_id, *why)
        case Connect():
            written = encode_connect(packet)
        case Connack():
            written = encode_connack(packet, version)
        case Ping():
            written = PING
        case Pong():
            written = PONG
        case Disconnect():
            written = _disconnect(packet) if version == V5 else LEAVE
        case Auth():
            written = _auth(packet)
        case _:
            written = _about_filters(packet, version)
    return written


def encode_within(packet: Answer, version: int, largest: int) -> bytes | None:
    """Write an answer, without its reason string where that makes it larger than what its receiver takes.

    None if it is too large all the same.
    """
    data = encode(packet, version)
    if len(data) > largest and packet.reason_string is not None:
        data = encode(replace(packet, reason_string=None), version)
    return data if len(data) <= largest else None


def encode_publish(
    topic: bytes,
    payload: bytes,
    *,
    qos: int,
    retain: bool = False,
    dup: bool = False,
    packet_id: int = 0,
    properties: bytes = b"",
) -> bytes:
    """Write a PUBLISH; `topic` is a written text already, since it goes to many.

    `properties` are what `publish_properties` has written, NO_PROPERTIES in MQTT 5 where there are none,
    and empty in 3.1 and 3.1.1.
    """
    first = PUBLISH << 4 | dup << 3 | qos << 1 | retain
    length = len(topic) + len(properties) + len(payload)
    if qos:
        middle = packet_id.to_bytes(2, "big")
        return b"".join((_header(first, length + 2), topic, middle, properties, payload))
    return b"".join((_header(first, length), topic, properties, payload))


def publish_properties(
    *, expiry: int | None = None, alias: int = 0, subscription_ids: tuple[int, ...] = (), passed: bytes = b""
) -> bytes:
    """Write the properties of a PUBLISH of MQTT 5, with their length before them."""
    # One by one and not from a table: many receivers have some of their own.
    written = passed
    for identifier in reversed(subscription_ids):
        written = _SUBSCRIPTION_ID + write_length(identifier) + written
    if alias:
        written = _ALIAS + alias.to_bytes(2, "big") + written
    if expiry is not None:
        written = _EXPIRY + expiry.to_bytes(4, "big") + written
    return with_length(written)


def encode_ack(kind: int, packet_id: int, reason: int = 0, reason_string: str | None = None) -> bytes:
    """Write a PUBACK, PUBREC, PUBREL or PUBCOMP; before MQTT 5 there is no reason to give."""
    first = kind << 4 | (0x02 if kind == PUBREL else 0)
    if not reason and reason_string is None:
        return bytes((first, 2, packet_id >> 8, packet_id & 0xFF))
    return _packet(
        first, packet_id.to_bytes(2, "big"), _ending(reason, {Property.REASON_STRING: reason_string})
    )


def _publish(packet: Publish, version: int) -> bytes:
    properties = b""
    if version == V5:
        properties = publish_properties(
            expiry=packet.expiry,
            alias=packet.alias,
            subscription_ids=packet.subscription_ids,
            passed=packet.passed,
        )
    return encode_publish(
        write_text(packet.topic),
        packet.payload,
        qos=packet.qos,
        retain=packet.retain,
        dup=packet.dup,
        packet_id=packet.packet_id,
        properties=properties,
    )


def _about_filters(packet: Subscribe | Suback | Unsubscribe | Unsuback, version: int) -> bytes:
    body: bytes
    properties: Properties = {}
    match packet:
        case Subscribe():
            first = SUBSCRIBE << 4 | 0x02
            properties = {Property.SUBSCRIPTION_IDENTIFIER: packet.subscription_id or None}
            body = b"".join(
                write_text(one.filter) + bytes((_options(one, version),)) for one in packet.wanted
            )
        case Unsubscribe():
            first = UNSUBSCRIBE << 4 | 0x02
            body = b"".join(map(write_text, packet.filters))
        case Suback():
            first, body = SUBACK << 4, packet.codes
            properties = {Property.REASON_STRING: packet.reason_string}
        case Unsuback():
            first, body = UNSUBACK << 4, packet.codes if version == V5 else b""
            properties = {Property.REASON_STRING: packet.reason_string}
    written = write_properties(properties) if version == V5 else b""
    return _packet(first, packet.packet_id.to_bytes(2, "big"), written, body)


def _options(wanted: Subscription, version: int) -> int:
    if version != V5:
        return wanted.qos
    return wanted.qos | wanted.no_local << 2 | wanted.retain_as_published << 3 | wanted.retain_handling << 4


def _disconnect(packet: Disconnect) -> bytes:
    properties: Properties = {
        Property.SESSION_EXPIRY_INTERVAL: packet.session_expiry,
        Property.REASON_STRING: packet.reason_string,
    }
    return _packet(DISCONNECT << 4, _ending(packet.reason, properties))


def _auth(packet: Auth) -> bytes:
    properties: Properties = {
        Property.AUTHENTICATION_METHOD: packet.method,
        Property.AUTHENTICATION_DATA: packet.data,
        Property.REASON_STRING: packet.reason_string,
    }
    return _packet(AUTH << 4, _ending(packet.reason, properties))


def _ending(reason: int, properties: Properties) -> bytes:
    """A reason and properties, as short as they can be written."""
    written = write_properties(properties)
    if written != NO_PROPERTIES:
        return bytes((reason,)) + written
    return bytes((reason,)) if reason else b""


def _packet(first: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _header(first, len(body)) + body


def _header(first: int, length: int) -> bytes:
    return bytes((first, length)) if length < 0x80 else bytes((first,)) + write_length(length)
