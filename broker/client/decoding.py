"""Reads what a broker sends: bytes in, packets out, in MQTT 5 or 3.1.1. No I/O."""

from collections.abc import Iterator

from broker.client import packets, properties
from broker.client.packets import Ack, Connack, Disconnect, Packet, Pong, Publish, Suback, Unsuback
from broker.client.properties import Properties, read_length
from broker.contract.message import Message
from broker.errors import ProtocolError

_ACKS = frozenset((packets.PUBACK, packets.PUBREC, packets.PUBREL, packets.PUBCOMP))


class Reader:
    """Cuts a stream of bytes into packets, as many as have come."""

    __slots__ = ("_largest", "_mqtt5", "_needed", "_rest")

    def __init__(self, *, mqtt5: bool, largest: int = packets.MAX_PACKET) -> None:
        self._mqtt5 = mqtt5
        self._largest = largest
        self._rest: bytearray | None = None
        self._needed = 0

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that are whole with `data`. Raises ProtocolError."""
        rest = self._rest
        if rest is not None:
            rest += data
            # Nothing is looked at again before the packet that was begun is whole.
            if len(rest) < self._needed:
                return
            data, self._rest = bytes(rest), None
        start, size = 0, len(data)
        while start < size:
            body, end = _frame(data, start, size)
            if end - start > self._largest:
                raise ProtocolError(
                    f"it sends a packet of {end - start} bytes; at most {self._largest} are taken"
                )
            if end > size:
                self._needed = end - start
                self._rest = bytearray(data[start:])
                return
            try:
                yield self._packet(data, start, body, end)
            except (IndexError, UnicodeDecodeError) as fault:
                raise ProtocolError("a packet cannot be read") from fault
            start = end

    def _packet(self, data: bytes, start: int, body: int, end: int) -> Packet:
        first = data[start]
        kind = first >> 4
        if kind == packets.PUBLISH:
            return self._publish(first, data, body, end)
        if kind in _ACKS:
            if end - body < 2:
                raise ProtocolError("an acknowledgement is too short")
            return Ack(kind, data[body] << 8 | data[body + 1], data[body + 2] if end - body > 2 else 0)
        return self._rare(kind, data[body:end])

    def _publish(self, first: int, data: bytes, at: int, end: int) -> Publish:
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1])
        topic = data[start:at].decode()
        qos = first >> 1 & 0x03
        packet_id = 0
        if qos:
            packet_id = data[at] << 8 | data[at + 1]
            at += 2
        read = None
        if self._mqtt5:
            if data[at]:
                length, at = read_length(data, at)
                read = Properties(data[at : at + length])
                at += length
            else:
                at += 1
        if at > end or qos == 3 or (qos and not packet_id):
            raise ProtocolError("a PUBLISH cannot be read")
        retain = bool(first & 0x01)
        if read is None:
            message = Message(topic=topic, payload=data[at:end], qos=qos, retain=retain)
        else:
            message = Message(
                topic=topic,
                payload=data[at:end],
                qos=qos,
                retain=retain,
                response_topic=read.text(properties.RESPONSE_TOPIC),
                correlation=read.data(properties.CORRELATION),
                expiry=read.number(properties.MESSAGE_EXPIRY),
            )
        return Publish(message, packet_id)

    def _rare(self, kind: int, body: bytes) -> Packet:
        match kind:
            case packets.PINGRESP:
                return Pong()
            case packets.CONNACK:
                return self._connack(body)
            case packets.SUBACK:
                return Suback(body[self._after_properties(body, 2) :])
            case packets.UNSUBACK:
                return Unsuback()
            case packets.DISCONNECT:
                return Disconnect(body[0] if body else 0)
        raise ProtocolError(f"a broker does not send packet type {kind}")

    def _connack(self, body: bytes) -> Connack:
        # A broker of the other version refuses in its own words, which are two bytes.
        if not self._mqtt5 or len(body) < 3:
            return Connack(body[1], session_present=bool(body[0] & 0x01))
        length, at = read_length(body, 2)
        read = Properties(body[at : at + length])
        return Connack(
            body[1],
            session_present=bool(body[0] & 0x01),
            receive_maximum=read.number(properties.RECEIVE_MAXIMUM) or 0xFFFF,
            max_packet=read.number(properties.MAX_PACKET_SIZE) or packets.MAX_PACKET,
            keepalive=read.number(properties.SERVER_KEEPALIVE),
        )

    def _after_properties(self, body: bytes, at: int) -> int:
        if not self._mqtt5:
            return at
        length, at = read_length(body, at)
        return at + length


def _frame(data: bytes, start: int, size: int) -> tuple[int, int]:
    """Find where a packet's body begins and ends; past `size` if that is not there yet."""
    at, length, shift = start + 1, 0, 0
    while at < size:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return at, at + length
        shift += 7
        if shift > 21:
            raise ProtocolError("the remaining length has more than four bytes")
    return at, size + 1
