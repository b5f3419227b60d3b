"""Rulebooks from rules as people write them."""

import tomllib
from typing import Any

from broker.contract.message import Message
from fog_node.rules.reading import read_rules
from fog_node.rules.rulebook import Rulebook
from fog_node.rules.verdict import Firing, Verdict
from fog_tasks.declaration.registry import Registry
from fog_tasks.declaration.task import Task


def rulebook(written: str, *tasks: Task[..., Any]) -> Rulebook:
    """The rules of a file `rules.toml`."""
    rules = tomllib.loads(written)["rule"]
    return Rulebook(read_rules(rules, source="rules.toml"), Registry(tasks))


def rule(keys: str, *tasks: Task[..., Any], on: str = "in/{place}") -> Rulebook:
    """One rule named `one` of the first of the tasks; `keys` are lines of TOML."""
    return rulebook(f"[[rule]]\nname = 'one'\non = '{on}'\ntask = '{tasks[0].name}'\n{keys}", *tasks)


def verdict(
    book: Rulebook, payload: bytes = b"", topic: str = "in/hall", *, now: float = 0.0, **fields: Any
) -> Verdict:
    """The one verdict on a message."""
    (found,) = book.verdicts(Message(topic=topic, payload=payload, **fields), now)
    return found


def firing(book: Rulebook, payload: bytes = b"", topic: str = "in/hall", **fields: Any) -> Firing:
    """What a message starts."""
    found = verdict(book, payload, topic, **fields)
    assert isinstance(found, Firing), found
    return found
