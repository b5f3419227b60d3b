"""Unix sockets of a program: in its data folder, for its own user alone."""

import os
import tempfile
from pathlib import Path

from broker.errors import SettingsError
from broker.programs.machine import short_hash

LONGEST_PATH = 100
"""Bytes. The paths of sockets end at 104 to 108, depending on the system."""


def socket_path(folder: Path, name: str, *, room: int = 0, unfit: str = "") -> Path:
    """Where the socket `name` of a data folder is: inside it, or in /tmp where that path does not do.

    It does not where it is too long, with `room` bytes behind it, or has a character of `unfit` in it.
    """
    inside = folder.absolute() / name
    if _is_short(inside, room) and not set(unfit) & set(str(inside)):
        return inside
    mark = short_hash(str(folder.absolute()), 16)
    return Path(tempfile.gettempdir()) / f"weighbridge-{os.getuid()}-{mark}" / name


def prepare_folder(socket: Path) -> None:
    """Make the folder of a socket, and see that it is this user's and will do. Raises SettingsError."""
    if not _is_short(socket):
        raise SettingsError(
            f"no socket can be at {socket}, which is longer than {LONGEST_PATH} bytes;"
            " set TMPDIR to a shorter path"
        )
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if socket.parent.stat().st_uid != os.getuid():
        raise SettingsError(
            f"{socket.parent} belongs to another user; remove it, or choose another --data folder"
        )


def _is_short(path: Path, room: int = 0) -> bool:
    return len(os.fsencode(path)) + room <= LONGEST_PATH
