"""Sees what an import opens or starts that does not outlive a fork: sockets, SQLite databases, threads."""

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import structlog

log = structlog.get_logger()

_SQLITE = b"SQLite format 3\0"


class SharedWatch:
    """Warns of each module whose import has opened or started something of that kind.

    Imports may be nested. On systems without /dev/fd only threads are seen.
    """

    def __init__(self) -> None:
        self._importing: list[str] = []
        self._known: set[object] = set()

    @contextlib.contextmanager
    def importing(self, file: str) -> Iterator[None]:
        """Meanwhile, the module in this file is imported."""
        self._look()
        self._importing.append(file)
        try:
            yield
        finally:
            self._look()
            self._importing.pop()

    def _look(self) -> None:
        there = _there()
        for thing in there.keys() - self._known if self._importing else ():
            log.warning(
                "opened_at_import",
                file=self._importing[-1],
                what=there[thing],
                next_step="put it into a function under @once_per_process, and call that in the task",
            )
        self._known = set(there)


def _there() -> dict[object, str]:
    """What is there now, each with its description."""
    found: dict[object, str] = {one: f"the thread {one.name}" for one in threading.enumerate()}
    with contextlib.suppress(OSError):
        for number in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
            # The one with which the folder is read is closed by now.
            with contextlib.suppress(OSError):
                status = os.fstat(number)
                what = _describe(number, status.st_mode)
                if what:
                    # Numbers are given out again; with the inode it is the same thing.
                    found[number, status.st_ino] = what
    return found


def _describe(descriptor: int, mode: int) -> str:
    if stat.S_ISSOCK(mode):
        with socket.socket(fileno=os.dup(descriptor)) as one:
            try:
                return f"a socket to {_shown(one.getpeername())}"
            except OSError:
                return f"a socket at {_shown(one.getsockname())}"
    if stat.S_ISREG(mode) and os.pread(descriptor, len(_SQLITE), 0) == _SQLITE:
        return "an SQLite database"
    return ""


def _shown(address: object) -> str:
    """An address for people; a socket of a pair has none."""
    match address:
        case (str(host), int(port), *_):
            return f"{host}:{port}"
        case _:
            return str(address) if address else "nowhere"
