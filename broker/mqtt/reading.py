"""Reads packets of all versions: bytes in, values out. Strict, and no I/O."""

from collections.abc import Callable

from broker.contract.filters import SHARED, is_filter, split_shared
from broker.errors import ProtocolError
from broker.mqtt.connecting import read_connack, read_connect
from broker.mqtt.cursor import Cursor
from broker.mqtt.fields import check_name, check_topic
from broker.mqtt.kinds import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    MAX_PACKET,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
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
from broker.mqtt.properties import Properties, Property, read_properties
from broker.mqtt.reasons import CODES, Reason, check_reason

_ACKS = frozenset((PUBACK, PUBREC, PUBREL, PUBCOMP))
_WITH_FLAGS = frozenset((PUBREL, SUBSCRIBE, UNSUBSCRIBE))
# An attribute of an enum costs as much as the rest of its use.
_EXPIRY, _ALIAS, _IDS = map(
    int, (Property.MESSAGE_EXPIRY_INTERVAL, Property.TOPIC_ALIAS, Property.SUBSCRIPTION_IDENTIFIER)
)


def read_packet(first: int, data: bytes, at: int, end: int, version: int) -> Packet:
    """Read the packet whose fixed header begins with `first` and whose body is `data[at:end]`.

    Raises ProtocolError.
    """
    kind = first >> 4
    if kind == PUBLISH:
        return read_publish(first, data, at, end, version)
    if first & 0x0F != (0x02 if kind in _WITH_FLAGS else 0):
        raise ProtocolError(f"packet type {kind} has flags {first & 0x0F}")
    if kind in _ACKS:
        return _read_ack(kind, data, at, end, version)
    read = _RARE.get(kind)
    if read is None or (kind == AUTH and version != V5):
        raise ProtocolError(f"there is no packet type {kind}")
    return read(data, at, end, version)


def read_publish(
    first: int, data: bytes, at: int, end: int, version: int, *, most_properties: int = MAX_PACKET
) -> Publish:
    """Read a PUBLISH as `read_packet` does, if it has no more than `most_properties` bytes of properties."""
    qos = first >> 1 & 0x03
    if qos == 3 or first & 0x0E == 0x08:
        raise ProtocolError("a PUBLISH has a QoS of 3, or a DUP flag with QoS 0")
    start = at + 2
    if start > end:
        raise ProtocolError("a PUBLISH ends in the middle of a field")
    at = start + (data[at] << 8 | data[at + 1])
    after = at + 2 if qos else at
    if after > end:
        raise ProtocolError("a PUBLISH ends in the middle of a field")
    try:
        topic = data[start:at].decode()
    except UnicodeDecodeError as fault:
        raise ProtocolError("a topic is not UTF-8") from fault
    packet_id = 0
    if qos:
        packet_id = data[at] << 8 | data[at + 1]
        if not packet_id:
            raise ProtocolError("a PUBLISH has packet identifier 0", Reason.PROTOCOL_ERROR)
    retain, dup = first & 0x01 != 0, first & 0x08 != 0
    if version == V5:
        if after == end or data[after] or not topic:
            return _read_rich(
                topic, data, after, end, (qos, retain, dup, packet_id), most_properties=most_properties
            )
        after += 1
    if not topic or "+" in topic or "#" in topic or "\0" in topic:
        check_topic(topic)
    return Publish(topic, data[after:end], qos, retain, dup, packet_id)


def _read_rich(
    topic: str, data: bytes, at: int, end: int, head: tuple[int, bool, bool, int], *, most_properties: int
) -> Publish:
    """Read a PUBLISH from its properties on."""
    found, passed, at = read_properties(data, at, end, PUBLISH, most_properties)
    alias = found.get(_ALIAS, 0)
    if topic:
        check_topic(topic)
    elif not alias:
        raise ProtocolError("a PUBLISH has neither topic nor alias", Reason.PROTOCOL_ERROR)
    return Publish(
        topic,
        data[at:end],
        *head,
        expiry=found.get(_EXPIRY),
        alias=alias,
        subscription_ids=found.get(_IDS, ()),
        passed=passed,
    )


def _read_ack(kind: int, data: bytes, at: int, end: int, version: int) -> Ack:
    size = end - at
    if size < 2 or (size > 2 and version != V5):
        raise ProtocolError("an acknowledgement has no packet identifier, or more than that")
    packet_id = data[at] << 8 | data[at + 1]
    if not packet_id:
        raise ProtocolError("an acknowledgement has packet identifier 0", Reason.PROTOCOL_ERROR)
    if size == 2:
        return Ack(kind, packet_id)
    reason, found = _reason_and_properties(Cursor(data, at + 2, end), kind)
    return Ack(kind, packet_id, reason, found.get(Property.REASON_STRING))


def _read_subscribe(data: bytes, at: int, end: int, version: int) -> Subscribe:
    fields = Cursor(data, at, end)
    packet_id = fields.packet_id()
    found = fields.properties(SUBSCRIBE) if version == V5 else {}
    wanted = []
    while fields.left:
        wanted.append(_subscription(_filter(fields, version), fields.number(1), version))
    if not wanted:
        raise ProtocolError("a SUBSCRIBE names no filter", Reason.PROTOCOL_ERROR)
    return Subscribe(packet_id, tuple(wanted), found.get(Property.SUBSCRIPTION_IDENTIFIER, 0))


def _subscription(filter: str, options: int, version: int) -> Subscription:
    qos = options & 0x03
    if options & (0xC0 if version == V5 else 0xFC):
        raise ProtocolError(f"a SUBSCRIBE has the options {options:#04x}")
    handling = options >> 4
    if qos == 3 or handling == 3:
        raise ProtocolError(f"a SUBSCRIBE has the options {options:#04x}", Reason.PROTOCOL_ERROR)
    no_local = bool(options & 0x04)
    if no_local and filter.startswith(SHARED):
        raise ProtocolError("a shared subscription is to be without its own messages", Reason.PROTOCOL_ERROR)
    return Subscription(filter, qos, no_local, bool(options & 0x08), handling)


def _read_unsubscribe(data: bytes, at: int, end: int, version: int) -> Unsubscribe:
    fields = Cursor(data, at, end)
    packet_id = fields.packet_id()
    if version == V5:
        fields.properties(UNSUBSCRIBE)
    filters = []
    while fields.left:
        filters.append(_filter(fields, version))
    if not filters:
        raise ProtocolError("an UNSUBSCRIBE names no filter", Reason.PROTOCOL_ERROR)
    return Unsubscribe(packet_id, tuple(filters))


def _filter(fields: Cursor, version: int) -> str:
    wanted = fields.text()
    plain = wanted
    if version == V5 and wanted.startswith(SHARED):
        # Before MQTT 5 it is a custom of brokers, which answer for themselves what they make of it.
        _, plain = split_shared(wanted) or ("", "")
    if not is_filter(plain):
        raise ProtocolError(f"{wanted[:100]!r} is not a topic filter")
    check_name(wanted)
    return wanted


def _read_suback(data: bytes, at: int, end: int, version: int) -> Suback:
    return Suback(*_codes(SUBACK, data, at, end, version))


def _read_unsuback(data: bytes, at: int, end: int, version: int) -> Unsuback:
    return Unsuback(*_codes(UNSUBACK, data, at, end, version))


def _codes(kind: int, data: bytes, at: int, end: int, version: int) -> tuple[int, bytes, str | None]:
    fields = Cursor(data, at, end)
    packet_id = fields.packet_id()
    text = fields.properties(kind).get(Property.REASON_STRING) if version == V5 else None
    codes = fields.rest()
    if not CODES[kind].issuperset(codes) or (codes and kind == UNSUBACK and version != V5):
        raise ProtocolError(f"packet type {kind} has the codes {codes[:20].hex()}", Reason.PROTOCOL_ERROR)
    return packet_id, codes, text


def _read_disconnect(data: bytes, at: int, end: int, version: int) -> Disconnect:
    fields = Cursor(data, at, end)
    if version != V5:
        fields.end()
    if not fields.left:
        return Disconnect()
    reason, found = _reason_and_properties(fields, DISCONNECT)
    return Disconnect(reason, found.get(Property.SESSION_EXPIRY_INTERVAL), found.get(Property.REASON_STRING))


def _read_auth(data: bytes, at: int, end: int, _version: int) -> Auth:
    fields = Cursor(data, at, end)
    if not fields.left:
        return Auth()
    reason, found = _reason_and_properties(fields, AUTH)
    method = found.get(Property.AUTHENTICATION_METHOD)
    if method is None:
        raise ProtocolError("an AUTH names no method", Reason.PROTOCOL_ERROR)
    return Auth(reason, method, found.get(Property.AUTHENTICATION_DATA), found.get(Property.REASON_STRING))


def _read_ping(data: bytes, at: int, end: int, _version: int) -> Ping:
    Cursor(data, at, end).end()
    return Ping()


def _read_pong(data: bytes, at: int, end: int, _version: int) -> Pong:
    Cursor(data, at, end).end()
    return Pong()


def _reason_and_properties(fields: Cursor, kind: int) -> tuple[int, Properties]:
    """Read the end of a packet: a reason, and properties where there is anything behind it."""
    reason = check_reason(fields.number(1), kind)
    found = fields.properties(kind) if fields.left else {}
    fields.end()
    return reason, found


_RARE: dict[int, Callable[[bytes, int, int, int], Packet]] = {
    CONNECT: read_connect,
    CONNACK: read_connack,
    SUBSCRIBE: _read_subscribe,
    SUBACK: _read_suback,
    UNSUBSCRIBE: _read_unsubscribe,
    UNSUBACK: _read_unsuback,
    PINGREQ: _read_ping,
    PINGRESP: _read_pong,
    DISCONNECT: _read_disconnect,
    AUTH: _read_auth,
}
