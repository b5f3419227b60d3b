"""`fog-node reload` and `cloud-node reload`: have a running node read its tasks and settings again."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from broker.errors import WeighbridgeError
from broker.programs.settings import add_command
from fog_node.commands.node_choice import NodeChoice
from fog_node.inspection.control import AskReload, Reloaded, ask


@dataclass(frozen=True, kw_only=True)
class ReloadSettings(NodeChoice):
    """Which node is told, and how long its answer is waited for."""

    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for the new workers, which import the tasks first.")
    ] = 600.0


def reload(settings: ReloadSettings) -> None:
    """Have a running node read its tasks and its settings again, while tasks run.

    New workers start beside the old, which finish what they have. Prints what has changed. If something
    cannot be loaded, everything stays as it was, and the status is 1.

    Example: fog-node reload --name kitchen
    """
    try:
        found = asyncio.run(ask(settings.folder, AskReload(), Reloaded, timeout=settings.timeout))
    except WeighbridgeError as fault:
        sys.exit(f"error: {fault}")
    if found.fault:
        sys.exit(f"error: nothing was changed: {found.fault}")
    for change in found.changes or ["nothing has changed; the workers are new"]:
        print(change)
    if found.only_at_start:
        flags = ", ".join(f"--{key.replace('_', '-')}" for key in found.only_at_start)
        print(f"only at the next start: {flags}")


def add_reload_command(
    app: typer.Typer, beside: type[Any], settings: type[ReloadSettings] = ReloadSettings
) -> None:
    """Make it a command of a node's program, whose own settings are `beside`."""
    add_command(app, settings, reload, name="reload", beside=beside)
