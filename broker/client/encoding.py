"""Writes what a client sends, in MQTT 5 or 3.1.1. No I/O."""

from collections.abc import Collection, Sequence

from broker.client import packets, properties
from broker.client.packets import PUBREL
from broker.client.settings import ClientSettings
from broker.contract.message import Message
from broker.contract.url import BrokerUrl

PING = bytes((packets.PINGREQ << 4, 0))
LEAVE = bytes((packets.DISCONNECT << 4, 0))
"""DISCONNECT, in both versions: our will is not to be sent."""

_NO_PROPERTIES = b"\0"
_QOS = 2
"""What we subscribe with: everything arrives with the QoS it was published with."""
_LIVE = 0x28
"""MQTT 5: RETAIN arrives as it was published, and nothing arrives that was retained before."""


def encode_connect(url: BrokerUrl, settings: ClientSettings, *, mqtt5: bool) -> bytes:
    """Write the CONNECT."""
    flags = 0 if settings.persistent else 0x02
    parts = [_text(settings.client_id)]
    will = settings.will
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        parts += [_NO_PROPERTIES if mqtt5 else b"", _text(will.topic), _data(will.payload)]
    if url.username is not None:
        flags |= 0x80
        parts.append(_text(url.username))
        if url.password is not None:
            flags |= 0x40
            parts.append(_text(url.password))
    body = [_text("MQTT"), bytes((5 if mqtt5 else 4, flags)), settings.keepalive.to_bytes(2, "big")]
    if mqtt5:
        wanted = {properties.RECEIVE_MAXIMUM: settings.unstored}
        if settings.largest < packets.MAX_PACKET:
            wanted[properties.MAX_PACKET_SIZE] = settings.largest
        if settings.persistent:
            wanted[properties.SESSION_EXPIRY] = settings.session_expiry
        body.append(properties.write_properties(wanted, {}))
    return _packet(packets.CONNECT << 4, *body, *parts)


def encode_publish(message: Message, packet_id: int, *, mqtt5: bool, dup: bool = False) -> bytes:
    """Write a PUBLISH; `packet_id` counts with QoS 1 and 2 only."""
    topic = message.topic.encode()
    qos, payload = message.qos, message.payload
    middle = packet_id.to_bytes(2, "big") if qos else b""
    if mqtt5:
        middle += _publish_properties(message)
    first = packets.PUBLISH << 4 | dup << 3 | qos << 1 | message.retain
    size = len(topic)
    length = 2 + size + len(middle) + len(payload)
    head = bytes((first, length)) if length < 0x80 else bytes((first,)) + properties.write_length(length)
    return b"".join((head, size.to_bytes(2, "big"), topic, middle, payload))


def encode_ack(kind: int, packet_id: int) -> bytes:
    """Write a PUBACK, PUBREC, PUBREL or PUBCOMP that says that all is well."""
    first = kind << 4 | (0x02 if kind == PUBREL else 0)
    return bytes((first, 2, packet_id >> 8, packet_id & 0xFF))


def encode_subscribe(
    packet_id: int, filters: Sequence[str], *, mqtt5: bool, live: bool = False, kept: Collection[str] = ()
) -> bytes:
    """Write a SUBSCRIBE; `live` and `kept` are as ClientSettings says."""
    options = _QOS | (_LIVE if mqtt5 and live else 0)
    wanted = (part for one in filters for part in (_text(one), bytes((_QOS if one in kept else options,))))
    return _packet(
        packets.SUBSCRIBE << 4 | 0x02,
        packet_id.to_bytes(2, "big"),
        _NO_PROPERTIES if mqtt5 else b"",
        *wanted,
    )


def encode_unsubscribe(packet_id: int, filters: Sequence[str], *, mqtt5: bool) -> bytes:
    """Write an UNSUBSCRIBE."""
    return _packet(
        packets.UNSUBSCRIBE << 4 | 0x02,
        packet_id.to_bytes(2, "big"),
        _NO_PROPERTIES if mqtt5 else b"",
        *map(_text, filters),
    )


def _publish_properties(message: Message) -> bytes:
    if message.correlation is None and message.expiry is None and message.response_topic is None:
        return _NO_PROPERTIES
    numbers, texts = {}, {}
    if message.expiry is not None:
        # Zero is not "at once" but a message that nobody gets.
        numbers[properties.MESSAGE_EXPIRY] = max(1, round(message.expiry))
    if message.response_topic is not None:
        texts[properties.RESPONSE_TOPIC] = message.response_topic.encode()
    if message.correlation is not None:
        texts[properties.CORRELATION] = message.correlation
    return properties.write_properties(numbers, texts)


def _text(text: str) -> bytes:
    return _data(text.encode())


def _data(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _packet(first: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes((first,)) + properties.write_length(len(body)) + body
