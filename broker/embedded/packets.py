"""MQTT 3.1.1 packets: bytes in, packets out, and back. No I/O.

amqtt gives the packet types, the fixed header and the packets that a broker writes once for each
connection or subscription. It reads packets with an awaited call for each field, takes truncated
fields as absent and text that is not UTF-8 as its repr, so what clients send is read here, strictly.
This is the only module that imports amqtt.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from amqtt.mqtt import packet as mqtt
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.suback import SubackPacket, SubackPayload
from amqtt.mqtt.unsuback import UnsubackPacket

from broker.errors import WeighbridgeError
from broker.filters import is_filter

CONNECT: int = mqtt.CONNECT
PUBLISH: int = mqtt.PUBLISH
PUBACK: int = mqtt.PUBACK
PUBREC: int = mqtt.PUBREC
PUBREL: int = mqtt.PUBREL
PUBCOMP: int = mqtt.PUBCOMP
SUBSCRIBE: int = mqtt.SUBSCRIBE
UNSUBSCRIBE: int = mqtt.UNSUBSCRIBE
PINGREQ: int = mqtt.PINGREQ
PINGRESP: int = mqtt.PINGRESP
DISCONNECT: int = mqtt.DISCONNECT

ACCEPTED, REFUSED_VERSION, REFUSED_IDENTIFIER, REFUSED_UNAVAILABLE, REFUSED_LOGIN, REFUSED_RIGHTS = range(6)
"""The return codes of CONNACK (MQTT 3.1.1, table 3.1)."""

FAILURE = 0x80
"""The return code of SUBACK for a subscription that was not made."""

REFUSAL_OF_MQTT5 = bytes((0x20, 3, 0, 0x84, 0))
"""An MQTT 5 CONNACK, no session, reason 0x84 (unsupported protocol version), no properties."""

PING_ANSWER: bytes = mqtt.MQTTFixedHeader(PINGRESP).to_bytes()

_LEVELS = {("MQTT", 4), ("MQIsdp", 3)}
_ACKS = (PUBACK, PUBREC, PUBREL, PUBCOMP)


class ProtocolError(WeighbridgeError):
    """Raised when a client sends what MQTT does not allow; its connection is to be closed."""


class UnsupportedVersion(ProtocolError):
    """Raised by a CONNECT of another protocol version; `level` is the one asked for."""

    def __init__(self, level: int) -> None:
        super().__init__(f"protocol level {level} is not spoken here")
        self.level = level


@dataclass(frozen=True, slots=True)
class Publish:
    """A PUBLISH; `packet_id` is 0 with QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool = False
    packet_id: int = 0


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT. `will` has the QoS and retain flag it is to be published with."""

    client_id: str
    clean: bool
    keepalive: int
    username: str | None
    password: bytes | None
    will: Publish | None


@dataclass(frozen=True, slots=True)
class Ack:
    """A PUBACK, PUBREC, PUBREL or PUBCOMP, told apart by `kind`."""

    kind: int
    packet_id: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A SUBSCRIBE: filters with the QoS asked for."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """An UNSUBSCRIBE."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """A PINGREQ."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A DISCONNECT: the client leaves, and its will with it."""


Packet = Connect | Publish | Ack | Subscribe | Unsubscribe | Ping | Disconnect


class Framer:
    """Cuts a stream of bytes into packets."""

    def __init__(self, max_packet: int) -> None:
        self._max_packet = max_packet
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that are whole with `data`. Raises ProtocolError.

        A packet that is too large is refused by its length alone, before its body is there.
        """
        self._buffer += data
        buffer, start = self._buffer, 0
        try:
            while (frame := self._frame(start)) is not None:
                body, end = frame
                first = buffer[start]
                start = end
                yield decode(first >> 4, first & 0x0F, bytes(buffer[body:end]))
        finally:
            del buffer[:start]

    def _frame(self, start: int) -> tuple[int, int] | None:
        """Find where the body of the packet at `start` begins and ends, if the packet is whole."""
        length, shift, position = 0, 0, start + 1
        while True:
            if position >= len(self._buffer):
                return None
            byte = self._buffer[position]
            position += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                raise ProtocolError("the remaining length has more than four bytes")
        if length > self._max_packet:
            raise ProtocolError(
                f"a packet of {length} bytes is larger than the {self._max_packet} that are taken"
            )
        end = position + length
        return (position, end) if end <= len(self._buffer) else None


def decode(kind: int, flags: int, body: bytes) -> Packet:
    """Read one packet. Raises ProtocolError."""
    if kind == PUBLISH:
        return _decode_publish(flags, body)
    if flags != (0x02 if kind in (PUBREL, SUBSCRIBE, UNSUBSCRIBE) else 0):
        raise ProtocolError(f"packet type {kind} has flags {flags}")
    if kind in _ACKS:
        return Ack(kind, _packet_id(body, exact=True))
    match kind:
        case _ if kind == SUBSCRIBE:
            return Subscribe(_packet_id(body), tuple(_filters_with_qos(_Fields(body, 2))))
        case _ if kind == UNSUBSCRIBE:
            return Unsubscribe(_packet_id(body), tuple(_filters(_Fields(body, 2))))
        case _ if kind == CONNECT:
            return _decode_connect(_Fields(body))
        case _ if kind in (PINGREQ, DISCONNECT) and not body:
            return Ping() if kind == PINGREQ else Disconnect()
    raise ProtocolError(f"a client does not send packet type {kind}, or not like this")


class _Fields:
    """Reads the fields of a packet's body one after another."""

    def __init__(self, body: bytes, position: int = 0) -> None:
        self._body = body
        self._position = position

    @property
    def left(self) -> bool:
        return self._position < len(self._body)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def data(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        return _text(self.data())

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._body):
            raise ProtocolError("a packet ends in the middle of a field")
        taken = self._body[self._position : end]
        self._position = end
        return taken


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise ProtocolError("a text is not UTF-8") from fault
    if "\0" in text:
        raise ProtocolError("a text contains the character U+0000")
    return text


def _packet_id(body: bytes, *, exact: bool = False) -> int:
    packet_id = int.from_bytes(body[:2], "big")
    if packet_id == 0 or len(body) < 2 or (exact and len(body) != 2):
        raise ProtocolError("a packet has no packet identifier, or more than that")
    return packet_id


def _topic(data: bytes) -> str:
    topic = _text(data)
    if not topic or "+" in topic or "#" in topic:
        raise ProtocolError(f"{topic[:100]!r} is not a topic that can be published to")
    return topic


def _decode_publish(flags: int, body: bytes) -> Publish:
    qos = flags >> 1 & 0x03
    if qos == 3 or (qos == 0 and flags & 0x08):
        raise ProtocolError("a PUBLISH has a QoS of 3, or a DUP flag with QoS 0")
    end = 2 + int.from_bytes(body[:2], "big")
    start = end + 2 if qos else end
    if start > len(body) or len(body) < 2:
        raise ProtocolError("a PUBLISH ends in the middle of a field")
    packet_id = int.from_bytes(body[end:start], "big")
    if qos and packet_id == 0:
        raise ProtocolError("a PUBLISH has packet identifier 0")
    return Publish(_topic(body[2:end]), body[start:], qos, bool(flags & 0x01), bool(flags & 0x08), packet_id)


def _decode_connect(fields: _Fields) -> Connect:
    name, level = fields.text(), fields.number(1)
    if (name, level) not in _LEVELS:
        if name == "MQTT":
            raise UnsupportedVersion(level)
        raise ProtocolError(f"protocol {name[:20]!r} is not MQTT")
    flags, keepalive, client_id = fields.number(1), fields.number(2), fields.text()
    will_qos, has_will = flags >> 3 & 0x03, bool(flags & 0x04)
    if flags & 0x01 or will_qos == 3 or (not has_will and flags & 0x38) or flags & 0xC0 == 0x40:
        raise ProtocolError(f"a CONNECT has flags {flags:#04x}")
    will = None
    if has_will:
        will = Publish(_topic(fields.data()), fields.data(), will_qos, bool(flags & 0x20))
    username = fields.text() if flags & 0x80 else None
    password = fields.data() if flags & 0x40 else None
    if fields.left:
        raise ProtocolError("a CONNECT has more fields than its flags announce")
    return Connect(client_id, bool(flags & 0x02), keepalive, username, password, will)


def _filters(fields: _Fields) -> Iterator[str]:
    if not fields.left:
        raise ProtocolError("a SUBSCRIBE or UNSUBSCRIBE names no filter")
    while fields.left:
        wanted = fields.text()
        if not is_filter(wanted):
            raise ProtocolError(f"{wanted[:100]!r} is not a topic filter")
        yield wanted


def _filters_with_qos(fields: _Fields) -> Iterator[tuple[str, int]]:
    for wanted in _filters(fields):
        qos = fields.number(1)
        if qos > 2:
            raise ProtocolError(f"a SUBSCRIBE asks for QoS {qos}")
        yield wanted, qos


def encode_publish(message: Publish) -> bytes:
    """Write a PUBLISH."""
    topic = message.topic.encode()
    flags = message.dup << 3 | message.qos << 1 | message.retain
    identifier = message.packet_id.to_bytes(2, "big") if message.qos else b""
    length = 2 + len(topic) + len(identifier) + len(message.payload)
    header = bytes((PUBLISH << 4 | flags,)) + _remaining_length(length) + len(topic).to_bytes(2, "big")
    return b"".join((header, topic, identifier, message.payload))


def encode_ack(kind: int, packet_id: int) -> bytes:
    """Write a PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return struct.pack("!BBH", kind << 4 | (0x02 if kind == PUBREL else 0), 2, packet_id)


def encode_connack(code: int, *, session_present: bool = False) -> bytes:
    """Write a CONNACK."""
    return bytes(ConnackPacket.build(int(session_present), code).to_bytes())


def encode_suback(packet_id: int, codes: list[int]) -> bytes:
    """Write a SUBACK."""
    return bytes(SubackPacket(None, mqtt.PacketIdVariableHeader(packet_id), SubackPayload(codes)).to_bytes())


def encode_unsuback(packet_id: int) -> bytes:
    """Write an UNSUBACK."""
    return bytes(UnsubackPacket.build(mqtt.PacketIdVariableHeader(packet_id)).to_bytes())


def _remaining_length(length: int) -> bytes:
    encoded = bytearray()
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)
