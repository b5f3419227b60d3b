"""Text with holes: `home/{plug}/energy`, `{plug}-{payload:seq}`."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from broker.contract.messages import ErrorCode
from broker.contract.topics import level_fault
from fog_node.errors import RuleFault
from fog_node.rules.language.content import Content
from fog_node.rules.language.expressions import Expression
from fog_node.rules.language.faults import Misfit

PAYLOAD = "payload"

_HOLE = re.compile(r"\{(\w+)(\+?)(?::([^{}]*))?\}")

Names = Mapping[str, bool]
"""The names of levels that can be filled in, and whether each may stand for several."""


class Template:
    """Text whose holes are filled from the levels of a topic and from its payload. Raises RuleFault.

    With `one_level` no hole takes what stands for several levels.
    """

    def __init__(self, text: str, names: Names, *, one_level: bool = False) -> None:
        self.text = text
        self._parts: list[str | _Hole] = []
        place = 0
        for found in _HOLE.finditer(text):
            self._add(text[place : found.start()])
            self._parts.append(_read_hole(found, names, one_level=one_level))
            place = found.end()
        self._add(text[place:])

    def fill(self, levels: Mapping[str, str], content: Content) -> str:
        """The text with its holes filled. Raises Misfit where the payload has nothing for one."""
        return "".join(part if isinstance(part, str) else part.of(levels, content) for part in self._parts)

    def topic(self, levels: Mapping[str, str], content: Content) -> str:
        """As `fill`, for a topic: what the payload fills in is one level, or part of it. Raises Misfit."""
        return "".join(
            part if isinstance(part, str) else part.level_of(levels, content) for part in self._parts
        )

    def sample(self, hole: str) -> str:
        """The text with each hole filled with the same."""
        return "".join(part if isinstance(part, str) else hole for part in self._parts)

    @property
    def filter(self) -> str:
        """An MQTT filter of all the topics that it can be."""
        written = "".join(part if isinstance(part, str) else part.wildcard for part in self._parts)
        levels = []
        for level in written.split("/"):
            if "#" in level:
                levels.append("#")
                break
            levels.append("+" if "+" in level else level)
        return "/".join(levels)

    def _add(self, text: str) -> None:
        if "{" in text or "}" in text:
            raise RuleFault(
                f"{self.text!r} has a brace that is no hole; holes are {{level}} and {{payload:path}}"
            )
        if text:
            self._parts.append(text)


def is_template(text: str) -> bool:
    """Whether a text has holes, rather than the braces of JMESPath, in which a name comes before a colon."""
    return any(found[1] == PAYLOAD or found[3] is None for found in _HOLE.finditer(text))


class _Hole:
    def __init__(self, name: str, *, several: bool, find: Callable[[Content], Any] | None) -> None:
        self.wildcard = "#" if several else "+"
        self._name = name
        self._find = find

    def of(self, levels: Mapping[str, str], content: Content) -> str:
        return levels[self._name] if self._find is None else _as_text(self._name, self._find(content))

    def level_of(self, levels: Mapping[str, str], content: Content) -> str:
        text = self.of(levels, content)
        fault = None if self._find is None else level_fault(text)
        if fault is not None:
            raise Misfit(
                ErrorCode.BAD_PAYLOAD, f"{self._name} is {text[:40]!r}, which {fault}: no level of a topic"
            )
        return text


def _read_hole(found: re.Match[str], names: Names, *, one_level: bool) -> _Hole:
    name, path = found[1], found[3]
    if name == PAYLOAD:
        if path is None:
            return _Hole(found[0], several=False, find=lambda content: content.text)
        return _Hole(found[0], several=False, find=Expression(path).of)
    if path is not None or name not in names:
        known = ", ".join(f"{{{one}}}" for one in names)
        raise RuleFault(
            f"{found[0]} is no level of its topics; {known or 'none'} and {{payload:path}} are known"
        )
    if names[name] and one_level:
        raise RuleFault(f"{found[0]} may be several levels, and this has to be one")
    return _Hole(name, several=names[name], find=None)


def _as_text(hole: str, value: Any) -> str:
    match value:
        case str():
            return value
        case bool() | int() | float():
            return json.dumps(value)
        case None:
            raise Misfit(ErrorCode.BAD_PAYLOAD, f"the payload has nothing for {hole}")
        case _:
            raise Misfit(ErrorCode.BAD_PAYLOAD, f"{hole} is neither text nor a number")
