"""Which node a command is about."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fog_node.settings import SHOWN_NAME, default_folder, name_by


@dataclass(frozen=True, kw_only=True)
class NodeChoice:
    """A node by its name, or by its data folder where that is not the usual one."""

    name: Annotated[str, typer.Option(help="The node's name.", show_default=SHOWN_NAME)] = ""
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Its data folder.", show_default="~/.local/state/weighbridge/NAME"),
    ] = None

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", name_by(self.data))

    @property
    def folder(self) -> Path:
        """The node's data folder."""
        return self.data or default_folder(self.name)
