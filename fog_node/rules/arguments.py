"""What a rule submits: the payload that a device would have typed for the task."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from broker.contract.messages import ErrorCode
from broker.errors import BadPayload
from fog_node.errors import RuleFault
from fog_node.rules.language.content import Content
from fog_node.rules.language.expressions import Expression
from fog_node.rules.language.faults import Misfit
from fog_node.rules.language.templates import Names, Template, is_template
from fog_node.rules.parameters import Parameters
from fog_tasks.declaration.task import Task
from fog_tasks.errors import BadArguments

Levels = Mapping[str, str]
Find = Callable[[Levels, Content], Any]

_json = msgspec.json.Encoder()


class PayloadAsItIs:
    """For rules without `arguments`."""

    def __init__(self, parameters: Parameters, names: Names) -> None:
        self._parameters = parameters
        self._filled = [name for name in names if name in parameters.named]
        # A value that is no object is for the first parameter that no level fills.
        self._first = next((name for name in parameters.named if name not in names), None)

    def payload(self, levels: Levels, content: Content) -> bytes:
        """The payload to submit. Raises Misfit."""
        if self._parameters.raw:
            return content.payload
        given: dict[str, Any] = {}
        if not content.empty:
            given = self._given(content)
        # What the topic says is what the broker has checked: no payload says otherwise.
        given |= {name: self._parameters.from_text(name, levels[name]) for name in self._filled}
        return _json.encode(given)

    def _given(self, content: Content) -> dict[str, Any]:
        value = content.value
        if isinstance(value, dict):
            taken = {
                name: item
                for name, item in value.items()
                if self._parameters.takes(name) and name not in self._filled
            }
            if taken or self._first is None or not self._parameters.needs_object(self._first):
                return taken
        if self._first is not None:
            return {self._first: self._parameters.from_value(self._first, content)}
        return {"$args": [value]} if self._parameters.others else {}


class WrittenArguments:
    """For rules with `arguments`. Raises RuleFault where the task cannot be called with them."""

    def __init__(self, written: Mapping[str, Any], parameters: Parameters, names: Names) -> None:
        if parameters.raw:
            raise RuleFault(
                f"task {parameters.task!r} takes the payload itself, as bytes; leave arguments out"
            )
        self._parameters = parameters
        self._written = written
        self._given_null = {name for name in parameters.required if parameters.takes_null(name)}
        self._literals: dict[str, Any] = {}
        self._found: dict[str, Find] = {}
        for name, value in written.items():
            if not parameters.takes(name):
                known = ", ".join(parameters.named) or "none"
                raise RuleFault(
                    f"task {parameters.task!r} has no parameter {name!r}; its parameters: {known}"
                )
            if isinstance(value, str):
                self._found[name] = _find(name, value, parameters, names)
            else:
                self._literals[name] = value
        self._filled = [name for name in names if name in parameters.named and name not in written]
        missing = parameters.required - written.keys() - set(self._filled)
        if missing:
            raise RuleFault(f"task {parameters.task!r} needs {', '.join(sorted(missing))} too; give it here")

    def payload(self, levels: Levels, content: Content) -> bytes:
        """The payload to submit. Raises Misfit."""
        given = dict(self._literals)
        for name, find in self._found.items():
            value = find(levels, content)
            if value is not None or name in self._given_null:
                given[name] = value
            elif name in self._parameters.required:
                raise Misfit(ErrorCode.BAD_ARGUMENTS, finds_nothing(name, self._written[name]))
        given |= {name: self._parameters.from_text(name, levels[name]) for name in self._filled}
        return _json.encode(given)


Arguments = PayloadAsItIs | WrittenArguments


def read_arguments(written: Mapping[str, Any] | None, task: Task[..., Any], names: Names) -> Arguments:
    """How a rule's payloads are made; `names` are the levels of its topics. Raises RuleFault."""
    parameters = Parameters(task)
    if written is None:
        return PayloadAsItIs(parameters, names)
    return WrittenArguments(written, parameters, names)


def finds_nothing(name: str, written: str) -> str:
    """The sentence about an argument whose expression finds nothing; a lone word may be meant as text."""
    hint = f"; for the text itself write \"'{written}'\"" if written.isidentifier() else ""
    return f"{name} = {written} finds nothing in the payload{hint}"


def payload_of_moment(arguments: Arguments, task: Task[..., Any]) -> bytes:
    """The payload of a rule that the clock starts: the same each time. Raises RuleFault."""
    try:
        payload = arguments.payload({}, Content(b""))
        task.check(payload)
    except (Misfit, BadPayload, BadArguments) as fault:
        raise RuleFault(
            f"{fault}; a moment has no payload: write numbers as they are, text as \"'text'\""
        ) from fault
    return payload


def _find(name: str, text: str, parameters: Parameters, names: Names) -> Find:
    if not is_template(text):
        expression = Expression(text)
        return lambda _, content: expression.of(content)
    template = Template(text, names)
    return lambda levels, content: parameters.from_text(name, template.fill(levels, content))
