"""`fog-node rules` and `fog-node rules try`: what the rules have made of messages, and what they would."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from broker.errors import SettingsError, WeighbridgeError
from broker.programs.logs import LogFormat, LogLevel, set_up_logs
from broker.programs.settings import add_command
from fog_node.commands.asking import AskingSettings, asked
from fog_node.commands.showing import show, show_json
from fog_node.commands.trial import Trial, trials
from fog_node.inspection.control import AskRules, Rules
from fog_node.rule_loading import load_rules
from fog_node.settings import FogSettings, WorkSettings
from fog_tasks.loading import load


def rules(settings: AskingSettings) -> None:
    """Show the rules of a running node, and what became of the messages that they are about.

    Example: fog-node rules --name kitchen
    """
    found = asked(settings, AskRules(), Rules)
    if settings.json:
        show_json(found)
        return
    table = Table(
        "rule", "on", "task", "matched", "started", "passed over", "refused", "written in", box=None
    )
    for one in found.rules:
        numbers = (str(one.matched), str(one.started), _each(one.passed_over), _each(one.refused))
        table.add_row(one.rule, one.on, one.task, *numbers, one.source)
    show(table if found.rules else "no rules")


@dataclass(frozen=True, kw_only=True)
class TrySettings(WorkSettings):
    """The message, and the rules that are asked about it."""

    topic: Annotated[str, typer.Argument(help="The message's topic.")]
    payload: Annotated[str, typer.Argument(help="What is in it; - reads stdin, @FILE a file.")] = ""
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


def try_rules(settings: TrySettings) -> None:
    """Show what each rule would make of a message. Needs no running node, and starts nothing.

    Example: fog-node rules try tele/plug1/SENSOR '{"ENERGY":{"Power":63}}' --config node.toml

    Ends with status 1 if the message would start no task.
    """
    set_up_logs(level=LogLevel.WARNING, format=LogFormat.AUTO, program="fog-node rules try")
    try:
        _check_topic(settings.topic)
        # What the user's files print when they are imported is no part of the answer.
        with contextlib.redirect_stdout(sys.stderr):
            tasks = load(settings.tasks, application=settings.application())
        rules = load_rules(settings, tasks).rules
        found = trials(rules, tasks, settings.topic, _payload(settings.payload))
    except WeighbridgeError as fault:
        sys.exit(f"error: {fault}")
    if not found:
        topics = ", ".join(dict.fromkeys(str(trigger) for rule in rules for trigger in rule.on))
        about = (
            f"the rules are about {topics}"
            if rules
            else "there are none: give --rules FILE, or --config FILE"
        )
        sys.exit(f"no rule is about {settings.topic}; {about}")
    if settings.json:
        show_json(found)
    else:
        for one in found:
            _show(one)
    sys.exit(not any(one.starts for one in found))


def _each(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {why}" for why, number in counts.items()) or "0"


def _check_topic(topic: str) -> None:
    """Raises SettingsError for what a device cannot publish to."""
    if not topic or "+" in topic or "#" in topic:
        raise SettingsError(f"{topic!r} is no topic that a device publishes to; write it without + and #")


def _payload(given: str) -> bytes:
    try:
        if given == "-":
            return sys.stdin.buffer.read()
        return Path(given[1:]).read_bytes() if given.startswith("@") else given.encode()
    except OSError as fault:
        sys.exit(f"error: the payload {given} cannot be read: {fault.strerror or fault}")


def _show(one: Trial) -> None:
    print(f"{one.rule} ({one.source})")
    for key, value in _lines(one):
        print(f"  {key:<10} {value}")


def _lines(one: Trial) -> Iterator[tuple[str, str]]:
    if one.not_because:
        yield "not", one.not_because
    if one.task:
        only = f", for {', '.join(one.roles)} only" if one.roles else ""
        yield "task", f"{one.task} ({one.weight}{only})"
        yield "arguments", one.arguments if isinstance(one.arguments, str) else bytes(one.arguments).decode()
        for argument in one.left_out:
            yield "left out", argument
        yield "device, id", f"{one.device}, {one.id}"
    for key, topic in (
        ("value to", one.value_to),
        ("outcome to", one.outcome_to),
        ("failure to", one.failure_to),
    ):
        if topic:
            yield key, topic
    for condition in one.unless:
        yield "unless", condition


def add_rules_commands(app: typer.Typer) -> None:
    """Make them commands of the fog node's program."""
    group = typer.Typer(add_completion=False)
    add_command(group, AskingSettings, rules, beside=FogSettings)
    add_command(group, TrySettings, try_rules, name="try", beside=FogSettings)
    # Or it would take the setting of its name for its own settings.
    app.add_typer(group, name="rules", context_settings={"default_map": {}})
