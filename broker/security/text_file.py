"""Text files as people write them, on any system: with a byte order mark or without, in UTF-8 or UTF-16."""

import codecs
import tomllib
from pathlib import Path
from typing import Any

from broker.errors import SettingsError

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""What Windows puts before a text, and how the text is written then."""

_QUOTES = '; a text stands in quotes, as in name = "kitchen", and true and false have small letters'


def read_text(path: Path) -> str:
    """The text of a file, without its mark. Raises OSError, and SettingsError where it is no text."""
    return decode_text(path.read_bytes())


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says. Raises SettingsError: a sentence that goes on from the file's name."""
    try:
        return tomllib.loads(read_text(path))
    except OSError as fault:
        raise SettingsError(fault.strerror or str(fault)) from fault
    except tomllib.TOMLDecodeError as fault:
        hint = _QUOTES if str(fault).startswith("Invalid value") else ""
        raise SettingsError(f"{fault}{hint}") from fault


def decode_text(data: bytes) -> str:
    """Read bytes as text. Raises SettingsError."""
    mark = mark_of(data)
    try:
        return data.removeprefix(mark).decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError as fault:
        raise SettingsError(f"byte {fault.start + len(mark)} is not UTF-8; save it as UTF-8") from fault


def mark_of(data: bytes) -> bytes:
    """The byte order mark that bytes begin with, or nothing."""
    return next((mark for mark in _MARKS if data.startswith(mark)), b"")
