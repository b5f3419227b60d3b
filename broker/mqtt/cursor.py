"""Reads the fields of a packet one after another, strictly. No I/O."""

from broker.errors import ProtocolError
from broker.mqtt.fields import check_name, check_topic, read_data, read_text
from broker.mqtt.properties import WILL, Properties, read_properties
from broker.mqtt.reasons import Reason


class Cursor:
    """Reads the fields of a packet one after another. Every method raises ProtocolError."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data = data
        self._at = at
        self._end = end

    def properties(self, packet: int) -> Properties:
        """The properties of a packet of this type."""
        found, _, self._at = read_properties(self._data, self._at, self._end, packet)
        return found

    def will_properties(self) -> tuple[Properties, bytes]:
        """The properties of a will, and those that are passed on as the bytes they came in."""
        found, passed, self._at = read_properties(self._data, self._at, self._end, WILL)
        return found, passed

    @property
    def left(self) -> bool:
        """Whether there is more."""
        return self._at < self._end

    def number(self, size: int) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self._take(size), "big")

    def packet_id(self) -> int:
        """A packet identifier."""
        packet_id = self.number(2)
        if not packet_id:
            raise ProtocolError("a packet has the packet identifier 0", Reason.PROTOCOL_ERROR)
        return packet_id

    def data(self) -> bytes:
        """Bytes with their length before them."""
        taken, self._at = read_data(self._data, self._at, self._end)
        return taken

    def text(self) -> str:
        """Text with its length before it."""
        taken, self._at = read_text(self._data, self._at, self._end)
        return taken

    def name(self) -> str:
        """Text without control characters, with its length before it."""
        text = self.text()
        check_name(text)
        return text

    def topic(self) -> str:
        """A topic that can be published to, with its length before it."""
        topic = self.text()
        check_topic(topic)
        check_name(topic)
        return topic

    def rest(self) -> bytes:
        """All that is left."""
        return self._take(self._end - self._at)

    def end(self) -> None:
        """Check that nothing is left."""
        if self.left:
            raise ProtocolError("a packet has more fields than it announces")

    def _take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at > self._end:
            raise ProtocolError("a packet ends in the middle of a field")
        return self._data[start : self._at]
