"""A small file that a program can do without: what it learns and would like to know in its next life."""

from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger()

MAX_BYTES = 4_000_000
"""A longer file was not written here."""


class KeptFile:
    """Written whole, then renamed, so that no half is ever read. `lost` says what losing it means."""

    def __init__(self, path: Path, *, lost: str) -> None:
        self._path = path
        self._lost = lost
        self._written = b""

    def load(self, take: Callable[[bytes], bool]) -> None:
        """Give what it holds to `take`, which tells whether it could be read; no file is nothing."""
        try:
            if self._path.stat().st_size > MAX_BYTES or not take(self._path.read_bytes()):
                log.warning("file_unreadable", file=str(self._path), next_step=self._lost)
        except FileNotFoundError:
            pass
        except OSError as fault:
            log.warning("file_unreadable", reason=str(fault), next_step=self._lost)

    def save(self, latest: bytes) -> None:
        """Write what has changed; a full disk costs nothing but a warning."""
        if latest == self._written:
            return
        beside = self._path.with_suffix(".new")
        try:
            beside.write_bytes(latest)
            beside.replace(self._path)
        except OSError as fault:
            log.warning("file_not_written", reason=str(fault))
        else:
            self._written = latest
