"""What a node is called that was given no name. Machines set up from one image have one host name."""

from pathlib import Path

import structlog

from broker.programs.machine import host_name, machine_identity, short_hash

log = structlog.get_logger()

FILE = "name"
"""The file in a data folder that keeps its node's name, and the machine on which it was used."""

MARK_DIGITS = 4


def default_name(folder: Path) -> str:
    """The name that a data folder knows; for a new one the host's and four hex digits of the machine.

    A folder that was copied from another machine is a new one. One of a node that was called after its host
    alone, as all were once, keeps that name.
    """
    host, machine = host_name(), _machine()
    name, _, of = _read(folder / FILE).partition("\n")
    if name and machine in {of, ""}:
        return name
    if not name and (folder / "journal.db").exists():
        return host
    return f"{host}-{machine}" if machine else host


def keep_name(folder: Path, name: str) -> None:
    """Have a data folder know its node's name from now on."""
    path, kept = folder / FILE, f"{name}\n{_machine()}"
    others = [] if path.exists() else _of_other_machines(folder)
    if others and name.startswith(f"{host_name()}-"):
        step = (
            f"if this is still the same machine, give its earlier name with --name; else remove {others[0]}"
        )
        log.warning("node_has_a_new_name", name=name, others=others, next_step=step)
    try:
        if _read(path) != kept:
            path.write_text(kept, "utf-8")
    except OSError as fault:
        log.warning("name_not_kept", reason=str(fault))


def _of_other_machines(folder: Path) -> list[str]:
    """The folders beside this one in which a node has run that was called after this host, too."""
    pattern = f"{host_name()}-{'?' * MARK_DIGITS}"
    return [
        str(one) for one in folder.parent.glob(pattern) if one != folder and (one / "journal.db").exists()
    ]


def _machine() -> str:
    identity = machine_identity()
    return short_hash(identity, MARK_DIGITS) if identity else ""


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
