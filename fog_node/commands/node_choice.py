"""Which node a command is about."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from fog_node.settings import default_folder, default_name


@dataclass(frozen=True, kw_only=True)
class NodeChoice:
    """A node by its name, or by its data folder where that is not the usual one."""

    name: Annotated[str, typer.Option(help="The node's name.", show_default="the host's")] = field(
        default_factory=default_name
    )
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Its data folder.", show_default="~/.local/state/weighbridge/NAME"),
    ] = None

    @property
    def folder(self) -> Path:
        """The node's data folder."""
        return self.data or default_folder(self.name)
