"""`fog-node reload` and `cloud-node reload`: have a running node read its tasks and settings again."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from broker.errors import WeighbridgeError
from broker.programs.settings import add_command
from fog_node.commands.node_choice import NodeChoice
from fog_node.inspection.control import STAYS, AskReload, Reloaded, ask


@dataclass(frozen=True, kw_only=True)
class ReloadSettings(NodeChoice):
    """Which node is told, and how long its answer is waited for."""

    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for the new workers, which import the tasks first.")
    ] = 600.0
    new_workers: Annotated[
        bool,
        typer.Option(
            "--new-workers",
            help="Start new workers even if no task has changed: for a library or a model that has.",
        ),
    ] = False


def reload(settings: ReloadSettings) -> None:
    """Have a running node read its tasks and its settings again, while tasks run.

    If tasks have changed, new workers start beside the old, which finish what they have. Prints what has
    changed. If something cannot be loaded, tasks, rules and settings stay as they were, and the status is 1.

    Example: fog-node reload --name kitchen
    """
    try:
        order = AskReload(settings.new_workers)
        found = asyncio.run(ask(settings.folder, order, Reloaded, timeout=settings.timeout))
    except WeighbridgeError as fault:
        sys.exit(f"error: {fault}")
    for change in found.changes:
        print(change)
    if found.fault:
        sys.exit(f"error: {STAYS}: {found.fault}")
    if found.only_at_start:
        print(f"only at the next start: {', '.join(found.only_at_start)}")
        if not {"--celery", "[celery]"}.isdisjoint(found.only_at_start):
            print("whether that Celery application can be loaded is not known before")
    elif not found.changes:
        print("nothing has changed")


def add_reload_command(
    app: typer.Typer, beside: type[Any], settings: type[ReloadSettings] = ReloadSettings
) -> None:
    """Make it a command of a node's program, whose own settings are `beside`."""
    add_command(app, settings, reload, name="reload", beside=beside)
