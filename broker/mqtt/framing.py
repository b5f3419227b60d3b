"""Cuts a stream of bytes into packets, for a broker and for a client. No I/O."""

from collections.abc import Collection, Iterator

from broker.errors import ProtocolError
from broker.mqtt.connecting import connect_version
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
    VERSIONS,
)
from broker.mqtt.packets import Packet
from broker.mqtt.reading import read_packet, read_publish
from broker.mqtt.reasons import Reason

MAX_CONNECT = 6 * (65_535 + 2) + 20
"""A CONNECT has five fields of at most 65,535 bytes, and here as much of properties: nobody unknown makes the
broker hold more."""

MAX_CONTROL = 262_144
"""Any other packet but a PUBLISH: a thousand filters of 250 bytes. A million of one byte would hold up
everybody for ten seconds; so would as many user properties in a PUBLISH, of which a broker takes no more."""

_BOTH = frozenset((PUBACK, PUBREC, PUBREL, PUBCOMP, AUTH))
_CLIENTS = _BOTH | {CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT}
_BROKERS = _BOTH | {CONNACK, SUBACK, UNSUBACK, PINGRESP}


class Framer:
    """One side of a connection. A broker's waits for CONNECT, which says the `version`; a client's knows it.

    `largest` is the size in bytes of the largest packet that is taken; only a PUBLISH may be so large. Of the
    versions that a CONNECT may ask for, a broker has those in `spoken`.
    """

    __slots__ = (
        "_bound",
        "_control",
        "_kinds",
        "_largest",
        "_needed",
        "_properties",
        "_rest",
        "_spoken",
        "version",
    )

    def __init__(
        self, largest: int = MAX_PACKET, *, version: int = 0, spoken: Collection[int] = VERSIONS
    ) -> None:
        self.version = version
        self._largest = largest
        self._bound = largest if version else min(largest, MAX_CONNECT)
        self._control = min(largest, MAX_CONTROL)
        # Another broker may pass on what it likes: to end the connection would not end that.
        self._properties = MAX_PACKET if version else MAX_CONTROL
        self._spoken = spoken
        self._kinds = _CLIENTS if not version else _BROKERS | {DISCONNECT} if version == V5 else _BROKERS
        self._rest: bytearray | None = None
        self._needed = 0

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that are whole with `data`. Raises ProtocolError, UnsupportedVersion.

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
            first = data[start]
            if not self.version and first != CONNECT << 4:
                raise ProtocolError("the first packet is not CONNECT", Reason.PROTOCOL_ERROR)
            bound = self._bound if first >> 4 == PUBLISH or not self.version else self._control
            body, end = _frame(data, start, size, bound)
            if end > size:
                self._needed = end - start
                self._rest = bytearray(data[start:])
                return
            if not self.version:
                self.version = connect_version(data, body, end, self._spoken)
                self._bound = self._largest
            if body - start > 2 and not data[body - 1] and self.version == V5:
                raise ProtocolError("a packet's length is written with more bytes than it needs")
            start = end
            if first >> 4 == PUBLISH:
                yield read_publish(first, data, body, end, self.version, most_properties=self._properties)
            elif first >> 4 in self._kinds:
                yield read_packet(first, data, body, end, self.version)
            else:
                raise ProtocolError(f"packet type {first >> 4} does not come from this side")


def _frame(data: bytes, start: int, size: int, bound: int) -> tuple[int, int]:
    """Find where a packet's body begins and ends; past `size` if that is not there yet."""
    at, length, shift = start + 1, 0, 0
    while at < size:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            end = at + length
            if end - start > bound:
                raise ProtocolError(
                    f"a packet of {end - start} bytes is larger than the {bound} that are taken",
                    Reason.PACKET_TOO_LARGE,
                )
            return at, end
        shift += 7
        if shift > 21:
            raise ProtocolError("the remaining length has more than four bytes")
    return at, size + 1
