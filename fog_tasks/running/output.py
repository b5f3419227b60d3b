"""What tasks write, with print() or otherwise, as lines of the log that name task, device and id.

Python's own streams log each line themselves. What C code and other programs write to the descriptors 1 and 2
goes through a pipe to the worker, which logs it: its processes may be busy, or dead by then.
"""

import logging
import mmap
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import structlog

from broker.programs.logs import log_prints
from broker.programs.output import Output
from broker.programs.streams import LineStream, as_shown

log = structlog.get_logger()

PORTION = 16 * 1024
"""Bytes that a worker reads at once of what a process writes: it has other things to do in between."""

_NAMES = ("task", "device", "id")
_BETWEEN = "\0"
_SIZE = 1024
"""Bytes for the names of a task, its device and its id, of at most 256 bytes each."""


class TaskOutput:
    """The output of a worker and of its processes, each of which has a slot. Made before the worker forks.

    What a process writes belongs to the task in whose context it is, or was last.
    """

    def __init__(self, slots: int) -> None:
        self._slots = [_Slot() for _ in range(slots)]
        self._own = _Slot()
        self._names: Sequence[str] = ()
        self._streams: tuple[LineStream, ...] = ()

    def about(self) -> Mapping[str, str]:
        """What this process runs, or ran last: the task, the device, and the device's id of it."""
        return dict(zip(_NAMES, self._names, strict=False))

    def capture(self) -> None:
        """Log from now on what Python code of this process and of its children prints."""
        self._streams = (log_prints(), LineStream(2, lambda line: log.warning("printed", text=line)))
        sys.stderr = self._streams[1]

    def watch(self, hub: Any) -> None:
        """In the worker: log what other code of its processes writes, by Celery's event loop."""
        for slot in self._slots:
            for output in slot.outputs:
                hub.add_reader(output.reader, output.read_some, PORTION)

    def end_lines(self) -> None:
        """In the worker: log what has been written so far, also what is no line yet."""
        for slot in self._slots:
            for output in slot.outputs:
                output.read_some(PORTION)
                output.end_line()

    def enter(self, number: int) -> None:
        """In a process of the worker: write to this slot from now on."""
        self._own = self._slots[number]
        self._own.enter()

    def of(self, task: str, sender: Sequence[str]) -> Self:
        """The context of a task; `sender` is the device, and its id of the task, if a device sent it."""
        self._names = (task, *sender)
        self._own.note(self._names)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._streams:
            if stream.file.unfinished:
                stream.file.end()


class _Slot:
    """The pipes of one process at a time, and in shared memory the names of what it runs or ran last."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)
        self.outputs = [Output(partial(self._log, level)) for level in (logging.INFO, logging.WARNING)]

    def enter(self) -> None:
        self.note(())
        for descriptor, output in enumerate(self.outputs, 1):
            os.dup2(output.writer, descriptor)

    def note(self, names: Sequence[str]) -> None:
        # One assignment, so that it is seen as a whole.
        written = f"{_BETWEEN.join(names)}\0\0".encode()[:_SIZE]
        self._memory[: len(written)] = written

    def _log(self, level: int, lines: list[bytes]) -> None:
        names = bytes(self._memory).partition(b"\0\0")[0].decode("utf-8", "replace")
        about = dict(zip(_NAMES, filter(None, names.split(_BETWEEN)), strict=False))
        for line in lines:
            log.log(level, "printed", **about, text=as_shown(line))
