"""Unix sockets of a node: in its data folder, for its own user alone."""

import hashlib
import os
import tempfile
from pathlib import Path

from fog_node.errors import StartError

_LONGEST_PATH = 100
"""Unix socket paths end at 104 to 108 bytes, depending on the system."""


def socket_path(folder: Path, name: str) -> Path:
    """Where the socket `name` of a data folder is: inside it, or in /tmp where that path is too long."""
    inside = folder.absolute() / name
    if len(os.fsencode(inside)) <= _LONGEST_PATH:
        return inside
    short = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"weighbridge-{os.getuid()}-{short}" / name


def prepare_folder(socket: Path) -> None:
    """Make the folder of a socket, and see that it is this user's. Raises StartError."""
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if socket.parent.stat().st_uid != os.getuid():
        raise StartError(
            f"{socket.parent} belongs to another user; remove it, or choose another --data folder"
        )
