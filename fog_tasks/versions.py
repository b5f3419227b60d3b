"""Tells versions of the user's own modules apart: as they were read, on the disk, on another machine."""

import zlib
from collections.abc import Mapping
from pathlib import Path

from fog_tasks.task_files import TaskFiles, text_of


def digests(files: TaskFiles) -> dict[str, int]:
    """A number for the text of each module, by its name."""
    found: dict[str, int] = {}
    for name, file in files.read():
        # Two folders may each have a tasks.py.
        found[name] = zlib.crc32(file.text, found.get(name, 0))
    return found


def differences(own: Mapping[str, int], theirs: Mapping[str, int]) -> list[str]:
    """The modules of which others have another version, or none."""
    return [name for name, digest in own.items() if theirs.get(name) != digest]


class Disk:
    """Looks whether files have changed since they were read."""

    def __init__(self, files: TaskFiles) -> None:
        self._files = [file for _, file in files.read()]
        self._seen: dict[str, tuple[int, ...]] = {}
        self._changed: dict[str, bool] = {}

    def changed(self) -> list[str]:
        """The paths of files that are not now what was read, or are gone. Reads only what is new since."""
        for file in self._files:
            seen = _seen(file.path)
            if self._seen.get(file.path) != seen:
                self._seen[file.path] = seen
                self._changed[file.path] = text_of(file.path) != file.text
        return [path for path, changed in self._changed.items() if changed]


def _seen(path: str) -> tuple[int, ...]:
    """What differs when a file has been written."""
    try:
        status = Path(path).stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
