"""`fog-node rules` and `fog-node rules try`: what the rules have made of messages, and what they would."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from broker.programs.settings import add_command
from fog_node.commands.asking import AskingSettings, asked
from fog_node.commands.showing import show, show_json
from fog_node.commands.trial import Trial, trials
from fog_node.inspection.control import AskRules, Rules
from fog_node.settings import FogSettings

rules_app = typer.Typer(add_completion=False)


def rules(settings: AskingSettings) -> None:
    """Show the rules of a running node, and what became of the messages that they are about.

    Example: fog-node rules --name kitchen
    """
    found = asked(settings, AskRules(), Rules)
    if settings.json:
        show_json(found)
        return
    table = Table("rule", "on", "task", "matched", "started", "passed over", "refused", "written in", box=None)
    for one in found.rules:
        numbers = (str(one.matched), str(one.fired), _each(one.passed_over), _each(one.refused))
        table.add_row(one.name, one.on, one.task, *numbers, one.source)
    show(table if found.rules else "no rules")


def _each(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {why}" for why, number in counts.items()) or "0"


def _payload(given: str) -> bytes:
    try:
        if given == "-":
            return sys.stdin.buffer.read()
        return Path(given[1:]).read_bytes() if given.startswith("@") else given.encode()
    except OSError as fault:
        sys.exit(f"error: the payload cannot be read: {fault}")


def _show(one: Trial) -> None:
    show(f"{one.rule} ({one.source})")
    for key, value in _lines(one):
        show(f"  {key:<10} {value}")


def _lines(one: Trial) -> Iterator[tuple[str, str]]:
    if one.not_because:
        yield "not", one.not_because
    if one.task:
        yield "task", f"{one.task} ({one.weight})"
        yield "arguments", one.arguments if isinstance(one.arguments, str) else bytes(one.arguments).decode()
        yield "device, id", f"{one.device}, {one.id}"
    for key, topic in (("value to", one.value_to), ("outcome to", one.outcome_to), ("failure to", one.failure_to)):
        if topic:
            yield key, topic
    for condition in one.unless:
        yield "unless", condition
