"""How commands show what they found."""

import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table


def show(what: Table | str) -> None:
    """Print a table or a line, as it is."""
    Console(width=None if sys.stdout.isatty() else 200).print(what, markup=False, highlight=False)


def show_json(found: Any) -> None:
    """Print JSON for programs."""
    print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
