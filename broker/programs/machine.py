"""Tells this machine from others that were set up from one image."""

import hashlib
import socket
import uuid
from pathlib import Path

SERIAL = Path("/sys/firmware/devicetree/base/serial-number")
"""Where a Raspberry Pi and its like tell a number that is theirs alone."""

MACHINE_ID = Path("/etc/machine-id")

NETWORK_CARDS = Path("/sys/class/net")

_MADE_UP = 0b11 << 40
"""The bits of a network address that its maker did not give: a container's, a virtual machine's, chance's."""


def machine_identity() -> str:
    """What stays on this machine and differs on others; empty where nothing tells it apart.

    From its makers where there is such a thing, so that a copy of its disk is another machine. A made-up
    network address may be another one tomorrow.
    """
    return _read(SERIAL) or _built_in_address() or _read(MACHINE_ID)


def _built_in_address() -> str:
    """The lowest network address of the cards that are built in, whether they are connected or not."""
    if not NETWORK_CARDS.is_dir():
        found = [uuid.getnode()]
    else:
        # Others come and go: bridges and tunnels have no device, and a card on USB may be pulled out.
        devices = [card for card in NETWORK_CARDS.iterdir() if (card / "device").exists()]
        built_in = [card for card in devices if "/usb" not in str((card / "device").resolve())]
        found = [int(_read(card / "address").replace(":", "") or "0", 16) for card in built_in]
    return min((f"{one:012x}" for one in found if one and not one & _MADE_UP), default="")


def this_boot() -> str:
    """What names the time since the machine was switched on; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def host_name() -> str:
    """The name of this machine, without its domain."""
    return socket.gethostname().split(".")[0]


def folder_mark(folder: Path, life: str) -> str:
    """Eight hex digits for a folder that holds `life`: a copy of it, here or elsewhere, has others."""
    where = (life, machine_identity() or socket.gethostname(), str(folder.absolute()))
    return short_hash("\n".join(where), 8)


def short_hash(text: str, digits: int) -> str:
    """So many hex digits that are different for different texts."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:digits]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip("\0\n ")
    except (OSError, UnicodeDecodeError):
        return ""
