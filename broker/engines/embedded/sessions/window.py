"""What is on its way to one client: messages of QoS 1 and 2 that it has not acknowledged."""

from collections.abc import Iterator

from broker.engines.embedded.message import Entry, Stage

LAST_PACKET_ID = 65_535


class Window:
    """At most `size` entries, each under a packet identifier of its own, in the order they were sent."""

    __slots__ = ("_entries", "_last_id", "_size")

    def __init__(self, size: int) -> None:
        # One identifier has to stay free.
        self._size = min(size, LAST_PACKET_ID - 1)
        self._entries: dict[int, Entry] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    @property
    def open(self) -> bool:
        """Whether one more may be on its way."""
        return len(self._entries) < self._size

    def add(self, entry: Entry) -> None:
        """Give an entry a packet identifier and count it as sent."""
        packet_id = self._last_id
        while True:
            packet_id = packet_id % LAST_PACKET_ID + 1
            if packet_id not in self._entries:
                break
        self._last_id = entry.packet_id = packet_id
        entry.stage = Stage.PUBLISHED
        self._entries[packet_id] = entry

    def restore(self, entry: Entry) -> None:
        """Count an entry as sent by an earlier process, under the identifier it has."""
        self._entries[entry.packet_id] = entry
        self._last_id = max(self._last_id, entry.packet_id)

    def received(self, packet_id: int) -> Entry | None:
        """Hear PUBREC; the entry, if this is news."""
        entry = self._entries.get(packet_id)
        if entry is None or entry.qos != 2 or entry.stage is Stage.RELEASED:
            return None
        entry.stage = Stage.RELEASED
        return entry

    def acknowledged(self, packet_id: int) -> Entry | None:
        """Hear PUBACK; the entry, which is no longer on its way."""
        entry = self._entries.get(packet_id)
        if entry is None or entry.qos != 1:
            return None
        return self._entries.pop(packet_id)

    def completed(self, packet_id: int) -> Entry | None:
        """Hear PUBCOMP; the entry, which is no longer on its way."""
        entry = self._entries.get(packet_id)
        if entry is None or entry.stage is not Stage.RELEASED:
            return None
        return self._entries.pop(packet_id)
