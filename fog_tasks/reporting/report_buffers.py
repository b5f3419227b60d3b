"""What the processes of a worker have to report and have not sent yet, where their parent can read it.

A process that sent each of many short tasks' reports by itself would spend more time on that than on the
tasks. One that kept them to itself would take them along when it dies, and the tasks would run again. So it
writes them down in memory that it shares with its parent.
"""

import mmap
import struct
from collections.abc import Iterator

SIZE = 64 * 1024
"""Bytes of one buffer."""

SPARE = 4
"""ReportBuffers for each process: who comes in a dead one's place leaves alone what that has written."""

_HEAD = struct.Struct("=III")
_ENTRY = struct.Struct("=HI")

Note = tuple[str, bytes]
"""A stream, and an encoded report for it."""


class ReportBuffer:
    """One process's piece of the memory."""

    def __init__(self, memory: mmap.mmap, start: int) -> None:
        self._memory = memory
        self._start = start

    @property
    def head(self) -> tuple[int, int, int]:
        """The process that writes here (0: none yet), how often it was wiped, how many bytes are written."""
        owner, wiped, length = _HEAD.unpack_from(self._memory, self._start)
        return owner, wiped, length

    def take(self, pid: int) -> None:
        """Make it that process's own, with nothing on it."""
        _, wiped, _ = self.head
        _HEAD.pack_into(self._memory, self._start, pid, (wiped + 1) & 0xFFFFFFFF, 0)

    def add(self, note: Note) -> bool:
        """Write a note down; False if there is no room for it."""
        owner, wiped, length = self.head
        stream, report = note[0].encode(), note[1]
        new = length + _ENTRY.size + len(stream) + len(report)
        if _HEAD.size + new > SIZE:
            return False
        start, end = self._start + _HEAD.size + length, self._start + _HEAD.size + new
        self._memory[start:end] = _ENTRY.pack(len(stream), len(report)) + stream + report
        # Last: whoever dies before has not written it down.
        _HEAD.pack_into(self._memory, self._start, owner, wiped, new)
        return True

    def wipe(self) -> None:
        """Take away what is written."""
        owner, wiped, _ = self.head
        _HEAD.pack_into(self._memory, self._start, owner, (wiped + 1) & 0xFFFFFFFF, 0)

    def read(self, head: tuple[int, int, int], start: int) -> list[Note]:
        """The notes from that many bytes on, up to what `head` told; none if they were wiped away since."""
        begin = self._start + _HEAD.size
        written = self._memory[begin + start : begin + head[2]]
        return list(_notes(written)) if self.head[:2] == head[:2] else []


class ReportBuffers:
    """The buffers of one worker. Made by the parent before it forks."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        memory = mmap.mmap(-1, SPARE * processes * SIZE)
        self._all = [ReportBuffer(memory, number * SIZE) for number in range(SPARE * processes)]
        # How far the parent has read each.
        self._read = [(0, 0, 0)] * len(self._all)

    def claim(self, index: int, pid: int) -> ReportBuffer:
        """A buffer for the process that is the worker's `index`th; no two that live have the same index."""
        own = self._all[index % self._processes :: self._processes]
        buffer = next((one for one in own if not one.head[2]), own[0])
        buffer.take(pid)
        return buffer

    def news(self, pid: int) -> list[Note]:
        """What a process has written down since it was last asked for, and has not sent."""
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
