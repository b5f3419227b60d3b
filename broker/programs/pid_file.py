"""The file in a data folder that names the programs which a node has running."""

import contextlib
from pathlib import Path
from typing import Self

import msgspec
import psutil

from broker.programs.families import kill_family
from broker.programs.machine import this_boot

KILL_TIMEOUT = 5.0
"""Seconds that a program which was killed gets to be gone."""


class _Process(msgspec.Struct, frozen=True):
    """A number is given out again; the time of birth tells whether it is still the same process."""

    pid: int
    born: float

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        return cls(process.pid, process.create_time())

    def running(self) -> psutil.Process | None:
        """The process, if it is still there."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.born) < 1:
                return process
        return None


class _Folder(msgspec.Struct, frozen=True):
    """Which folder it is, whatever its name is now."""

    path: str
    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Self:
        found = path.stat()
        return cls(str(path.resolve()), found.st_dev, found.st_ino)

    def is_same(self, other: Self) -> bool:
        """Whether both are one folder: it may have been moved, and disks be numbered anew at a start."""
        placed = self.device == other.device or self.path == other.path
        return self.inode == other.inode and placed


class _Life(msgspec.Struct, frozen=True):
    """Where and when a node runs. A computer without a clock is born at the same time again and again."""

    folder: _Folder
    node: _Process
    boot: str


class _Listed(msgspec.Struct):
    life: _Life
    programs: list[_Process]


class PidFile:
    """Names the programs which a node has running, so that its next life can end them.

    Linux ends them together with the node (see guard.py). This file is for other systems, and for programs
    that slipped through. `copied_from` is the folder from which it was copied together with everything else:
    then the programs in it are another node's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._life = _Life(_Folder.of(path.parent), _Process.of(psutil.Process()), this_boot())
        self._earlier = self._read()
        self._running: dict[int, _Process] = {}
        self.copied_from: str | None = None
        if self._earlier is not None and not self._earlier.life.folder.is_same(self._life.folder):
            self.copied_from = self._earlier.life.folder.path

    def end_leftovers(self) -> int:
        """Kill what an earlier life left running here; return how many programs that were."""
        earlier, self._earlier = self._earlier, None
        self._path.unlink(missing_ok=True)
        if earlier is None or not self._has_died(earlier.life):
            return 0
        left = [process for one in earlier.programs if (process := one.running()) is not None]
        for process in left:
            kill_family(process)
        psutil.wait_procs(left, timeout=KILL_TIMEOUT)
        return len(left)

    def add(self, pid: int) -> None:
        """Note a program that was started."""
        with contextlib.suppress(psutil.Error):
            self._running[pid] = _Process.of(psutil.Process(pid))
            self._save()

    def remove(self, pid: int) -> None:
        """Note that a program has ended."""
        if self._running.pop(pid, None) is not None:
            self._save()

    def _has_died(self, earlier: _Life) -> bool:
        """Whether a life of this very folder has ended, in which this computer has not been started anew."""
        own = self._life
        return self.copied_from is None and earlier.boot == own.boot and earlier.node.running() is None

    def _read(self) -> _Listed | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Listed)
        except (OSError, msgspec.MsgspecError):
            return None

    def _save(self) -> None:
        # In one step: a node that dies meanwhile leaves the old list or the new one, and never half of it.
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(_Listed(self._life, list(self._running.values()))))
        temporary.replace(self._path)
