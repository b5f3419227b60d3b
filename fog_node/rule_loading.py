"""Gathers a node's rules: of its settings file, of files of their own, and of its tasks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.errors import SettingsError
from broker.security.text_file import read_toml
from fog_node.clockwork import check_moments
from fog_node.errors import RuleFault
from fog_node.rules.reading import read_rules, rules_of_tasks
from fog_node.rules.rule import Rule
from fog_node.rules.rulebook import Rulebook
from fog_node.settings import WorkSettings
from fog_tasks.declaration.task import Task


def load_rules(settings: WorkSettings, tasks: Mapping[str, Task[..., Any]]) -> Rulebook:
    """All rules of a node that has these tasks. Raises RuleFault."""
    rules = read_rules(settings.rule.content, source=settings.rule.file)
    for path in settings.rules:
        rules += _rules_of_file(path)
    rules += rules_of_tasks(tasks)
    check_moments(rules)
    return Rulebook(rules, tasks)


def _rules_of_file(path: Path) -> list[Rule]:
    try:
        found = read_toml(path)
    except SettingsError as fault:
        raise RuleFault(f"--rules {path}: {fault}") from fault
    other = next((key for key in found if key != "rule"), None)
    if other is not None:
        raise RuleFault(f"--rules {path}: key {other!r} is unknown; a file of rules has [[rule]] alone")
    return read_rules(found.get("rule", ()), source=str(path))
