"""Reads rules as people write them: tables of a TOML file, and `@task(on=…)`."""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from broker.contract.topics import Weight, level_fault
from fog_node.errors import RuleFault
from fog_node.rules.announcing import announcement_fault
from fog_node.rules.language.faults import about
from fog_node.rules.rule import Announcement, Cron, Every, Filter, Publish, Rule, Trigger
from fog_tasks.declaration.task import Task

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read_rules(table: Sequence[Mapping[str, Any]], *, source: str) -> list[Rule]:
    """Read what stands under `[[rule]]` in the file `source`. Raises RuleFault."""
    if not isinstance(table, list | tuple) or not all(isinstance(one, Mapping) for one in table):
        raise RuleFault(f"{source}: rule: each rule is a table of its own, under [[rule]]")
    return [_read_rule(written, number, source) for number, written in enumerate(table, 1)]


def rules_of_tasks(tasks: Mapping[str, Task[..., Any]]) -> list[Rule]:
    """The rules that follow from `@task(on=…)`: of the task's name, and with nothing else to them."""
    rules = []
    for task in tasks.values():
        if task.on:
            with about(task.place, task.name, "on"):
                on = _triggers(list(task.on))
            rules.append(Rule(name=task.name, source=task.place, on=on, task=task.name))
    return rules


def _read_rule(written: Mapping[str, Any], number: int, source: str) -> Rule:
    name = written.get("name")
    called = name if name and isinstance(name, str) else number
    for key in written:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            hint = f", {near[0]!r} may be meant" if near else ""
            raise RuleFault(
                f"{source}: rule {called!r}: key {key!r} is unknown{hint}; the keys are {', '.join(_KEYS)}"
            )
    values: dict[str, Any] = {}
    for key, value in written.items():
        with about(source, called, key):
            values[key] = _KEYS[key](value)
    for key in ("name", "on", "task"):
        if key not in values:
            raise RuleFault(
                f"{source}: rule {called!r}: {key} is missing; a rule has at least name, on and task"
            )
    rule = Rule(source=source, **values)
    _check_together(rule, values)
    return rule


def _check_together(rule: Rule, written: Mapping[str, Any]) -> None:
    """Raises RuleFault for keys that have no sense without another."""
    if all(not isinstance(trigger, Filter) for trigger in rule.on):
        for key in ("when", "changed", "every", "at_most", "id", "retained"):
            if key in written:
                with about(rule.source, rule.name, key):
                    raise RuleFault(
                        "is for messages, and this rule is started by the clock alone; leave it out"
                    )
    if rule.result is None:
        if rule.retain:
            with about(rule.source, rule.name, "retain"):
                raise RuleFault("needs a result, the topic of your own on which it is told")
        if rule.publish is Publish.VALUE:
            with about(rule.source, rule.name, "publish"):
                raise RuleFault('"value" needs a result; on fog/results/… the whole outcome is told')
    fault = announcement_fault(rule)
    if fault is not None:
        with about(rule.source, rule.name, "announce"):
            raise RuleFault(fault)


def _triggers(value: Any) -> tuple[Trigger, ...]:
    written = value if isinstance(value, list) else [value]
    if not written:
        raise RuleFault('is empty; it is a filter, "every 60s", "cron */5 * * * *", or several of them')
    return tuple(map(_trigger, written))


def _trigger(value: Any) -> Trigger:
    text = _text(value)
    kind, _, rest = text.partition(" ")
    if kind == "every" and rest:
        return Every(_above_0(rest, _seconds(rest), 'a number and its unit, as in "every 60s"'))
    if kind == "cron" and rest:
        if len(rest.split()) != 5:
            raise RuleFault(
                f"{text!r} has not five fields: minute, hour, day of the month, month, day of the week"
            )
        return Cron(" ".join(rest.split()))
    return Filter(text)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise RuleFault(f"{value!r} is not text in quotation marks")
    return value


def _level(value: Any) -> str:
    fault = level_fault(_text(value))
    if fault is not None:
        raise RuleFault(f"{value!r} {fault}; it has to be one level of a topic")
    return str(value)


def _duration(value: Any) -> float:
    if isinstance(value, str):
        seconds = _seconds(value)
    else:
        seconds = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
    return _above_0(value, seconds, 'seconds without quotation marks, as in 2.5, or with a unit, as in "5s"')


def _seconds(text: str) -> float:
    """What a text like `5s` means; 0 if it means nothing."""
    found = _DURATION.fullmatch(text.strip())
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def _above_0(written: Any, seconds: float, wanted: str) -> float:
    if not (math.isfinite(seconds) and seconds > 0):
        raise RuleFault(f"{written!r} is no duration above 0: write {wanted}; units are {', '.join(_UNITS)}")
    return seconds


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise RuleFault(f"{value!r} is not true or false")
    return value


def _whole(least: int, most: float) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            reach = "" if math.isinf(most) else f" to {most}"
            raise RuleFault(f"{value!r} is not a whole number from {least}{reach}")
        return value

    return read


def _one_of(kind: Callable[[str], Any], known: Iterable[str]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value not in tuple(known):
            raise RuleFault(f"{value!r} is not one of {', '.join(known)}")
        return kind(value)

    return read


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RuleFault(f"{value!r} is no table; write {{ name = value, … }}")
    return value


def _announcement(value: Any) -> Announcement:
    written = dict(_table(value))
    if "platform" not in written:
        raise RuleFault('platform is missing; write { platform = "sensor" }')
    values = {key: _text(written.pop(key)) for key in _ANNOUNCED if key in written}
    return Announcement(**values, more=written)


_ANNOUNCED = ("platform", "name", "unit", "device_class", "state_class", "prefix")

_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "name": _level,
    "on": _triggers,
    "task": _text,
    "weight": _one_of(Weight, tuple(Weight)),
    "deadline": _duration,
    "max_hops": _whole(0, 16),
    "arguments": _table,
    "when": _text,
    "changed": _text,
    "every": _whole(1, math.inf),
    "at_most": _duration,
    "id": _text,
    "retained": _flag,
    "result": _text,
    "on_error": _text,
    "publish": _one_of(Publish, tuple(Publish)),
    "retain": _flag,
    "qos": _whole(0, 2),
    "announce": _announcement,
}
"""The keys of a rule, and how each is read."""
