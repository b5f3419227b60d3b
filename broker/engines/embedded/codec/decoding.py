"""Reads what clients send: bytes in, packets out. Strict, and no I/O."""

from collections.abc import Iterator

from broker.contract.filters import MAX_LEVELS, is_filter
from broker.engines.embedded.codec.packets import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Ack,
    Connect,
    Disconnect,
    Packet,
    Ping,
    Publish,
    Subscribe,
    Unsubscribe,
    UnsupportedVersion,
)
from broker.errors import ProtocolError

_LEVELS = {("MQTT", 4), ("MQIsdp", 3)}
_BRIDGE = 0x80
"""Mosquitto's bridges add this bit to the protocol level to say that they are brokers."""

_ACKS = frozenset((PUBACK, PUBREC, PUBREL, PUBCOMP))
_WITH_FLAGS = frozenset((PUBREL, SUBSCRIBE, UNSUBSCRIBE))

MAX_CONNECT = 5 * (65_535 + 2) + 12
"""A CONNECT has five fields of at most 65,535 bytes: nobody unknown makes the broker hold more."""


class Framer:
    """Cuts a stream of bytes into packets. The first one has to be a CONNECT."""

    __slots__ = ("_greeted", "_max_packet", "_needed", "_rest")

    def __init__(self, max_packet: int) -> None:
        self._max_packet = max_packet
        self._greeted = False
        self._rest: bytearray | None = None
        self._needed = 0

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that are whole with `data`. Raises ProtocolError.

        A packet that is too large is refused by its length alone, before its body is there.
        """
        rest = self._rest
        if rest is not None:
            rest += data
            # Nothing is looked at again before the packet that was begun is whole.
            if len(rest) < self._needed:
                return
            data, self._rest = bytes(rest), None
        start, size = 0, len(data)
        while start < size:
            if not self._greeted and data[start] != CONNECT << 4:
                raise ProtocolError("the first packet is not CONNECT")
            body, end = self._frame(data, start)
            if end > size:
                self._needed = end - start
                self._rest = bytearray(data[start:])
                return
            first = data[start]
            start = end
            self._greeted = True
            yield decode(first >> 4, first & 0x0F, data[body:end])

    def _frame(self, data: bytes, start: int) -> tuple[int, int]:
        """Find where the packet's body begins and ends; past the end of `data` if that is not there yet."""
        length, shift, position = 0, 0, start + 1
        size = len(data)
        while True:
            if position >= size:
                return position, position + 1
            byte = data[position]
            position += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                raise ProtocolError("the remaining length has more than four bytes")
        if length > self._max_packet or (not self._greeted and length > MAX_CONNECT):
            raise ProtocolError(f"a packet of {length} bytes is larger than what is taken")
        return position, position + length


def decode(kind: int, flags: int, body: bytes) -> Packet:
    """Read one packet. Raises ProtocolError."""
    if kind == PUBLISH:
        return _decode_publish(flags, body)
    if flags != (0x02 if kind in _WITH_FLAGS else 0):
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
        text = data.decode()
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
    if not topic or "+" in topic or "#" in topic or topic.count("/") > MAX_LEVELS:
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
    if (name, level & ~_BRIDGE) not in _LEVELS:
        if name == "MQTT":
            raise UnsupportedVersion(level & ~_BRIDGE)
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
    clean = bool(flags & 0x02)
    return Connect(client_id, clean, keepalive, username, password, will, bool(level & _BRIDGE))


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
