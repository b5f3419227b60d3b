"""Numbers the lives of a node, each higher than the one before, to tell late words of an earlier one."""

import os
import secrets
from pathlib import Path

import structlog

log = structlog.get_logger()

FILE = "birth"

SPREAD = 1_000
"""By how much more at most: two copies of a folder that wake up together are hardly ever one life."""

DIGITS = 15
"""Milliseconds until the year 33658; a longer number was not written here, and others could not read it."""


def next_birth(folder: Path, now_ms: int) -> int:
    """The number of the life that begins at `now_ms` by this machine's clock, noted in the data folder.

    It is the time, so that a node which lost its folder comes after its own past; and more than the last
    one, since many small computers have no clock of their own and wake up in the past. The other nodes would
    take such a life for the late word of a dead one. By how much more is chance: folders may be copies.
    """
    path = folder / FILE
    last = _last(path)
    birth = now_ms if now_ms > last else last + 1 + secrets.randbelow(SPREAD)
    beside = path.with_suffix(".new")
    try:
        with beside.open("wb") as written:
            written.write(str(birth).encode())
            written.flush()
            # What has no clock of its own is often what is unplugged without warning.
            os.fsync(written.fileno())
        beside.replace(path)
    except OSError as fault:
        log.warning("birth_not_written", reason=str(fault))
    return birth


def _last(path: Path) -> int:
    try:
        with path.open("rb") as written:
            return max(0, int(written.read(DIGITS)))
    except (OSError, ValueError):
        return 0
