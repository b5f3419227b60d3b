"""CONNECT and CONNACK, read and written in all versions. No I/O."""

from collections.abc import Collection

from broker.errors import ProtocolError, UnsupportedVersion
from broker.mqtt.cursor import Cursor
from broker.mqtt.fields import read_text, write_data, write_length, write_text
from broker.mqtt.kinds import CONNACK, CONNECT, MAX_PACKET, PROTOCOL_NAMES, V5, V31, V311
from broker.mqtt.packets import Connack, Connect, Will
from broker.mqtt.properties import Property, pack, with_length, write_properties
from broker.mqtt.reasons import Reason, check_reason, reason_of, return_code

_BRIDGE = 0x80
"""Mosquitto's bridges add this bit to the protocol level to say that they are brokers."""

_NAMES = {V31: "MQTT 3.1", V311: "MQTT 3.1.1", V5: "MQTT 5"}


def connect_version(data: bytes, at: int, end: int, spoken: Collection[int]) -> int:
    """Read a CONNECT's version. Raises UnsupportedVersion for one that is not `spoken`, ProtocolError."""
    name, at = read_text(data, at, end)
    if name not in PROTOCOL_NAMES.values():
        raise ProtocolError(f"protocol {name[:20]!r} is not MQTT", Reason.UNSUPPORTED_PROTOCOL_VERSION)
    level = Cursor(data, at, end).number(1) & ~_BRIDGE
    if level in spoken and PROTOCOL_NAMES[level] == name:
        return level
    # A level that nobody knows has no words of its own: all but MQTT 5 have those of 3.1.
    words = V5 if (name, level) == (PROTOCOL_NAMES[V5], V5) else V31
    known_by = {(PROTOCOL_NAMES[one], one): text for one, text in _NAMES.items()}
    asked = known_by.get((name, level), f"protocol level {level} of {name}")
    known = " or ".join(_NAMES[one] for one in sorted(spoken, reverse=True))
    sentence = f"{asked} is not spoken here; set the client to {known}"
    raise UnsupportedVersion(sentence, level=level, version=words)


def read_connect(data: bytes, at: int, end: int, version: int) -> Connect:
    """Read a CONNECT whose version is known. Raises ProtocolError."""
    fields = Cursor(data, at, end)
    fields.text()
    level, flags, keepalive = fields.number(1), fields.number(1), fields.number(2)
    _check_flags(flags, version)
    found = fields.properties(CONNECT) if version == V5 else {}
    client_id = fields.name()
    will = _read_will(fields, flags, version) if flags & 0x04 else None
    username = fields.name() if flags & 0x80 else None
    password = fields.data() if flags & 0x40 else None
    fields.end()
    method, proof = found.get(Property.AUTHENTICATION_METHOD), found.get(Property.AUTHENTICATION_DATA)
    if proof is not None and method is None:
        raise ProtocolError("a CONNECT has authentication data and no method", Reason.PROTOCOL_ERROR)
    return Connect(
        version=version,
        client_id=client_id,
        clean_start=bool(flags & 0x02),
        keepalive=keepalive,
        username=username,
        password=password,
        will=will,
        bridge=bool(level & _BRIDGE),
        session_expiry=found.get(Property.SESSION_EXPIRY_INTERVAL, 0),
        receive_maximum=found.get(Property.RECEIVE_MAXIMUM, 0xFFFF),
        maximum_packet=found.get(Property.MAXIMUM_PACKET_SIZE, MAX_PACKET),
        topic_alias_maximum=found.get(Property.TOPIC_ALIAS_MAXIMUM, 0),
        request_problem=bool(found.get(Property.REQUEST_PROBLEM_INFORMATION, 1)),
        request_response=bool(found.get(Property.REQUEST_RESPONSE_INFORMATION, 0)),
        auth_method=method,
        auth_data=proof,
        user_properties=found.get(Property.USER_PROPERTY, ()),
    )


def encode_connect(packet: Connect) -> bytes:
    """Write a CONNECT in its version."""
    version, will = packet.version, packet.will
    flags = packet.clean_start << 1 | (packet.username is not None) << 7 | (packet.password is not None) << 6
    parts = [write_text(packet.client_id)]
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        parts += [_will_properties(will, version), write_text(will.topic), write_data(will.payload)]
    if packet.username is not None:
        parts.append(write_text(packet.username))
    if packet.password is not None:
        parts.append(write_data(packet.password))
    level = version | (_BRIDGE if packet.bridge else 0)
    head = write_text(PROTOCOL_NAMES[version]) + bytes((level, flags)) + packet.keepalive.to_bytes(2, "big")
    body = b"".join((head, _connect_properties(packet) if version == V5 else b"", *parts))
    return bytes((CONNECT << 4,)) + write_length(len(body)) + body


def read_connack(data: bytes, at: int, end: int, version: int) -> Connack:
    """Read a CONNACK; a broker of another version refuses in its own words. Raises ProtocolError."""
    fields = Cursor(data, at, end)
    flags, reason = fields.number(1), fields.number(1)
    if flags > 1:
        raise ProtocolError(f"a CONNACK has flags {flags:#04x}")
    if version != V5 or not fields.left:
        return Connack(reason_of(reason), session_present=bool(flags))
    found = fields.properties(CONNACK)
    fields.end()
    return Connack(
        check_reason(reason, CONNACK),
        session_present=bool(flags),
        session_expiry=found.get(Property.SESSION_EXPIRY_INTERVAL),
        receive_maximum=found.get(Property.RECEIVE_MAXIMUM, 0xFFFF),
        maximum_qos=found.get(Property.MAXIMUM_QOS, 2),
        retain_available=bool(found.get(Property.RETAIN_AVAILABLE, 1)),
        maximum_packet=found.get(Property.MAXIMUM_PACKET_SIZE, MAX_PACKET),
        client_id=found.get(Property.ASSIGNED_CLIENT_IDENTIFIER),
        topic_alias_maximum=found.get(Property.TOPIC_ALIAS_MAXIMUM, 0),
        reason_string=found.get(Property.REASON_STRING),
        keepalive=found.get(Property.SERVER_KEEP_ALIVE),
        subscription_ids=bool(found.get(Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE, 1)),
    )


def encode_connack(packet: Connack, version: int) -> bytes:
    """Write a CONNACK; 3.1 has no word for a session that was there, and both old versions few reasons."""
    if version != V5:
        # Reserved in 3.1.
        present = packet.session_present and version != V31
        return bytes((CONNACK << 4, 2, present, return_code(packet.reason)))
    properties = write_properties(
        {
            Property.SESSION_EXPIRY_INTERVAL: packet.session_expiry,
            Property.RECEIVE_MAXIMUM: _unless(packet.receive_maximum, 0xFFFF),
            Property.MAXIMUM_QOS: _unless(packet.maximum_qos, 2),
            Property.RETAIN_AVAILABLE: _unless(packet.retain_available, True),
            Property.MAXIMUM_PACKET_SIZE: _unless(packet.maximum_packet, MAX_PACKET),
            Property.ASSIGNED_CLIENT_IDENTIFIER: packet.client_id,
            Property.TOPIC_ALIAS_MAXIMUM: _unless(packet.topic_alias_maximum, 0),
            Property.REASON_STRING: packet.reason_string,
            Property.SERVER_KEEP_ALIVE: packet.keepalive,
            Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE: _unless(packet.subscription_ids, True),
        }
    )
    body = bytes((packet.session_present, packet.reason)) + properties
    return bytes((CONNACK << 4,)) + write_length(len(body)) + body


def _check_flags(flags: int, version: int) -> None:
    will = flags & 0x04
    lonely = flags & 0xC0 == 0x40 and version != V5
    if flags & 0x01 or flags & 0x18 == 0x18 or (not will and flags & 0x38) or lonely:
        raise ProtocolError(f"a CONNECT has flags {flags:#04x}")


def _read_will(fields: Cursor, flags: int, version: int) -> Will:
    found, passed = fields.will_properties() if version == V5 else ({}, b"")
    return Will(
        fields.topic(),
        fields.data(),
        flags >> 3 & 0x03,
        bool(flags & 0x20),
        delay=found.get(Property.WILL_DELAY_INTERVAL, 0),
        expiry=found.get(Property.MESSAGE_EXPIRY_INTERVAL),
        passed=passed,
    )


def _will_properties(will: Will, version: int) -> bytes:
    if version != V5:
        return b""
    ours = pack(
        {
            Property.WILL_DELAY_INTERVAL: _unless(will.delay, 0),
            Property.MESSAGE_EXPIRY_INTERVAL: will.expiry,
        }
    )
    return with_length(ours + will.passed)


def _connect_properties(packet: Connect) -> bytes:
    return write_properties(
        {
            Property.SESSION_EXPIRY_INTERVAL: _unless(packet.session_expiry, 0),
            Property.RECEIVE_MAXIMUM: _unless(packet.receive_maximum, 0xFFFF),
            Property.MAXIMUM_PACKET_SIZE: _unless(packet.maximum_packet, MAX_PACKET),
            Property.TOPIC_ALIAS_MAXIMUM: _unless(packet.topic_alias_maximum, 0),
            Property.REQUEST_PROBLEM_INFORMATION: _unless(packet.request_problem, True),
            Property.REQUEST_RESPONSE_INFORMATION: _unless(packet.request_response, False),
            Property.AUTHENTICATION_METHOD: packet.auth_method,
            Property.AUTHENTICATION_DATA: packet.auth_data,
            Property.USER_PROPERTY: packet.user_properties,
        }
    )


def _unless(value: int, default: int) -> int | None:
    """What is to be written: nothing where it is the default."""
    return None if value == default else value
