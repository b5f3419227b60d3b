"""Buffers for reports that a worker's child processes have not sent yet, in memory shared with their parent.

A process that sent the report of each short task by itself would spend more time on reports than on tasks. So
it gathers them. If it dies, its parent finds them here: otherwise the tasks would run again.
"""

import mmap
import struct
from collections.abc import Iterator

SIZE = 64 * 1024
"""Bytes of one buffer: some hundred reports of short tasks. A full buffer is written at once."""

SPARE = 4
"""Buffers for each process: one that replaces a dead process must not overwrite what that had gathered."""

_HEAD = struct.Struct("=III")
_ENTRY = struct.Struct("=HI")

Note = tuple[str, bytes]
"""A stream, and an encoded report for it."""


class ReportBuffer:
    """The part of the memory that one process writes to."""

    def __init__(self, memory: mmap.mmap, start: int) -> None:
        self._memory = memory
        self._start = start

    @property
    def head(self) -> tuple[int, int, int]:
        """The process that writes here (0: none yet), how often it was emptied, how many bytes are used."""
        owner, wiped, length = _HEAD.unpack_from(self._memory, self._start)
        return owner, wiped, length

    def take(self, pid: int) -> None:
        """Give it to a process, empty."""
        _, wiped, _ = self.head
        _HEAD.pack_into(self._memory, self._start, pid, (wiped + 1) & 0xFFFFFFFF, 0)

    def add(self, note: Note) -> bool:
        """Append a note; False if there is no room for it."""
        owner, wiped, length = self.head
        stream, report = note[0].encode(), note[1]
        new = length + _ENTRY.size + len(stream) + len(report)
        if _HEAD.size + new > SIZE:
            return False
        start, end = self._start + _HEAD.size + length, self._start + _HEAD.size + new
        self._memory[start:end] = _ENTRY.pack(len(stream), len(report)) + stream + report
        # The head comes last: a process that dies before has not appended anything.
        _HEAD.pack_into(self._memory, self._start, owner, wiped, new)
        return True

    def wipe(self) -> None:
        """Empty it."""
        owner, wiped, _ = self.head
        _HEAD.pack_into(self._memory, self._start, owner, (wiped + 1) & 0xFFFFFFFF, 0)

    def read(self, head: tuple[int, int, int], start: int) -> list[Note]:
        """The notes from byte `start` to the end that `head` told; none if it was emptied since."""
        begin = self._start + _HEAD.size
        written = self._memory[begin + start : begin + head[2]]
        return list(_notes(written)) if self.head[:2] == head[:2] else []


class ReportBuffers:
    """The buffers of one worker. Made by the parent before it forks."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        memory = mmap.mmap(-1, SPARE * processes * SIZE)
        self._all = [ReportBuffer(memory, number * SIZE) for number in range(SPARE * processes)]
        # The head of each when the parent read it last.
        self._read = [(0, 0, 0)] * len(self._all)

    def claim(self, index: int, pid: int) -> ReportBuffer:
        """A buffer for the worker's child number `index`; no two living children have the same number."""
        own = self._all[index % self._processes :: self._processes]
        buffer = next((one for one in own if not one.head[2]), own[0])
        buffer.take(pid)
        return buffer

    def news(self, pid: int) -> list[Note]:
        """What a process has gathered since the last call, and has not sent."""
        notes: list[Note] = []
        for number, buffer in enumerate(self._all):
            head, read = buffer.head, self._read[number]
            if head[0] == pid and head != read:
                notes += buffer.read(head, read[2] if head[:2] == read[:2] else 0)
                self._read[number] = head
        return notes


def _notes(written: bytes) -> Iterator[Note]:
    at = 0
    while at < len(written):
        stream, report = _ENTRY.unpack_from(written, at)
        at += _ENTRY.size
        yield written[at : at + stream].decode(), written[at + stream : at + stream + report]
        at += stream + report
