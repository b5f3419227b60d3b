"""All the rules of a node: of its settings file, of files of their own, and of its tasks."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.errors import SettingsError
from broker.security.text_file import read_text
from fog_node.errors import RuleFault
from fog_node.rules.reading import read_rules, rules_of_tasks
from fog_node.rules.rule import Rule
from fog_node.settings import WorkSettings
from fog_tasks.declaration.task import Task


def all_rules(settings: WorkSettings, tasks: Mapping[str, Task[..., Any]]) -> list[Rule]:
    """Read them. Raises RuleFault."""
    rules = read_rules(settings.rule.content, source=settings.rule.file)
    for path in settings.rules:
        rules += read_rules(_tables(path), source=str(path))
    return rules + rules_of_tasks(tasks)


def _tables(path: Path) -> Any:
    try:
        found = tomllib.loads(read_text(path))
    except (OSError, SettingsError, tomllib.TOMLDecodeError) as fault:
        raise RuleFault(f"{path}: {fault}") from fault
    for key in found:
        if key != "rule":
            raise RuleFault(f"{path}: key {key!r} is unknown; a file of rules has [[rule]] and nothing else")
    return found.get("rule", ())
