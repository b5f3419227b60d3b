"""What a task takes, as far as rules have to know it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from broker.contract.messages import UNREADABLE
from fog_node.rules.language.content import Content
from fog_tasks.declaration.task import Task

_NO_TEXT = {"integer", "number", "boolean"}
"""The types of JSON Schema whose values a topic can spell."""

_LIMITING = {"type", "enum", "$ref"}
"""The keys of JSON Schema without which anything is taken."""

_anything = msgspec.json.Decoder()


class Parameters:
    """The parameters of a task by name, from its JSON Schema."""

    def __init__(self, task: Task[..., Any]) -> None:
        schema = task.catalog_entry().parameters
        self.task = task.name
        self.raw = task.raw
        self.named: Mapping[str, Any] = schema.get("properties", {})
        self.required = frozenset(schema.get("required", ()))
        self.others = not task.raw and schema.get("additionalProperties", True) is not False

    def takes(self, name: str) -> bool:
        """Whether there is a parameter of this name, or one that takes any."""
        return name in self.named or (self.others and not name.startswith("$"))

    def needs_object(self, name: str) -> bool:
        """Whether a parameter has to be given, and an object may be."""
        kinds = self._kinds(name)
        return name in self.required and (not kinds or "object" in kinds)

    def takes_null(self, name: str) -> bool:
        """Whether null may be a parameter's value, as far as its schema tells."""
        schema = self.named.get(name, {})
        return any(
            one.get("type") == "null" or None in one.get("enum", ()) or not one.keys() & _LIMITING
            for one in schema.get("anyOf", (schema,))
        )

    def from_text(self, name: str, text: str) -> Any:
        """What a topic's text is for a parameter: a number where that takes numbers and no text."""
        kinds = self._kinds(name)
        if "string" in kinds or not kinds & _NO_TEXT:
            return text
        try:
            value = _anything.decode(text)
        except UNREADABLE:
            return text
        return value if isinstance(value, bool | int | float) else text

    def from_value(self, name: str, content: Content) -> Any:
        """What a payload that is one value is for a parameter: its text where that takes nothing but text."""
        value, kinds = content.value, self._kinds(name)
        if isinstance(value, bool | int | float) and "string" in kinds and not kinds & _NO_TEXT:
            return content.text
        return value

    def _kinds(self, name: str) -> set[str]:
        schema = self.named.get(name, {})
        return {one["type"] for one in (schema, *schema.get("anyOf", ())) if isinstance(one.get("type"), str)}
