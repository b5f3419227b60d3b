"""Checks and converts a task's arguments by its annotations, and describes them as a JSON Schema.

A binder is made once for each task. It lays the arguments out as the fields of a msgspec struct, which
checks and converts them all in one call.
"""

import enum
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from fog_tasks.errors import BadArguments, DeclarationError

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?$", re.DOTALL)
_EXTRA = "**"
_FIELD = "parameter_"
"""The prefix of each field of the struct: a parameter may have a name that msgspec reserves."""
_PLAIN = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_COLLECTING = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_UNREADABLE = (AttributeError, NameError, SyntaxError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The parameters of a function by their kinds."""

    positional: tuple[str, ...]
    keyword_only: tuple[str, ...]
    rest: str | None
    named_rest: str | None

    @property
    def by_name(self) -> frozenset[str]:
        """What can be given by name: `*numbers` too, unless there is `**others`, which then gets it."""
        collected = () if self.rest is None or self.named_rest is not None else (self.rest,)
        return frozenset((*self.positional, *self.keyword_only, *collected))


class Binder:
    """The parameters of one function.

    `raw` is true if the payload itself is the argument. Raises DeclarationError if JSON cannot be converted
    to an annotation of the function.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._name = name
        try:
            signature = inspect.signature(function)
            hints = get_type_hints(function, include_extras=True)
        except _UNREADABLE as fault:
            raise DeclarationError(f"task {name!r}: its annotations cannot be read: {fault}") from fault
        parameters = tuple(signature.parameters.values())
        self._defaults = {one.name: one.default for one in parameters}
        self._layout = _lay_out(parameters)
        self._by_name = self._layout.by_name
        self._shown = ", ".join(_show(parameter, hints) for parameter in parameters)
        self._choices = {name: _choices(hint) for name, hint in hints.items()}
        self._struct = self._define(parameters, hints)
        self._schema = self._describe()
        self.raw = self._is_raw(parameters, hints)

    def bind(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Convert arguments as JSON has them into what the function takes. Raises BadArguments."""
        layout = self._layout
        fields: dict[str, Any] = dict(zip(layout.positional, arguments, strict=False))
        beyond = arguments[len(layout.positional) :]
        if beyond and layout.rest is None:
            raise BadArguments(f"{self._name} takes {self._count()}, not {len(arguments)}{self._hint()}")
        if beyond:
            fields[layout.rest or ""] = beyond
        self._merge(fields, named)
        try:
            found = msgspec.convert(fields, self._struct, str_keys=True)
        except msgspec.ValidationError as fault:
            raise BadArguments(self._explain(str(fault))) from fault
        except RecursionError as fault:
            raise BadArguments(f"{self._name}: the arguments are nested too deeply") from fault
        except Exception as fault:
            # Code of the task's author runs here, in `__post_init__` or `_missing_`, on a node's event loop:
            # whatever it raises must not end the node.
            sentence = f"{self._name}: the arguments cannot be converted: {type(fault).__name__}: {fault}"
            raise BadArguments(sentence) from fault
        return self._call(found)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the payload's object form; of a raw payload, where the task takes that."""
        # This is how OpenAPI describes bytes outside of JSON. A "type" would also allow a JSON string.
        return {"contentMediaType": "application/octet-stream"} if self.raw else self._schema

    def _describe(self) -> dict[str, Any]:
        (schema,), components = msgspec.json.schema_components([self._struct], ref_template="#/$defs/{name}")
        root: dict[str, Any] = components.pop(schema["$ref"].rpartition("/")[2])
        root.pop("title", None)
        extra = root["properties"].pop(_EXTRA, None)
        root["additionalProperties"] = False if extra is None else extra.get("additionalProperties", True)
        root["properties"] = {name: one for name, one in root["properties"].items() if name in self._by_name}
        if components:
            root["$defs"] = components
        return root

    def _define(self, parameters: Iterable[Parameter], hints: Mapping[str, Any]) -> type[msgspec.Struct]:
        for parameter in parameters:
            self._check(parameter.name, hints.get(parameter.name, Any))
        fields = [_field(parameter, hints.get(parameter.name, Any)) for parameter in parameters]
        return msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)

    def _check(self, parameter: str, hint: Any) -> None:
        try:
            msgspec.json.Decoder(hint)
            # A decoder accepts any class, since a hook could convert it; a schema refuses unknown ones.
            msgspec.json.schema(hint)
        except _UNREADABLE as fault:
            raise DeclarationError(
                f"task {self._name!r}: parameter {parameter!r} cannot be read from JSON:"
                f" {str(fault).splitlines()[-1]}"
            ) from fault

    def _is_raw(self, parameters: Iterable[Parameter], hints: Mapping[str, Any]) -> bool:
        """Whether the payload itself is the argument: one required parameter, and it takes bytes."""
        required = [
            one for one in parameters if one.default is Parameter.empty and one.kind not in _COLLECTING
        ]
        return (
            len(required) == 1
            and required[0].kind in _PLAIN
            and _bare(hints.get(required[0].name)) is bytes
            and self._layout.rest is None
        )

    def _merge(self, fields: dict[str, Any], named: Mapping[str, Any]) -> None:
        extra: dict[str, Any] = {}
        for name, value in named.items():
            if name in self._by_name:
                if name in fields:
                    raise BadArguments(f"{self._name}: parameter {name!r} is given twice")
                fields[name] = value
            elif self._layout.named_rest is not None:
                extra[name] = value
            else:
                raise BadArguments(f"{self._name} has no parameter {name!r}; it takes ({self._shown})")
        if extra:
            fields[_EXTRA] = extra

    def _call(self, found: msgspec.Struct) -> tuple[list[Any], dict[str, Any]]:
        layout = self._layout
        arguments = [self._value(found, name) for name in layout.positional]
        named = {name: self._value(found, name) for name in layout.keyword_only}
        if layout.rest is not None:
            arguments += self._value(found, layout.rest)
        if layout.named_rest is not None:
            named.update(self._value(found, layout.named_rest))
        return arguments, named

    def _value(self, found: msgspec.Struct, name: str) -> Any:
        value = getattr(found, _FIELD + name)
        return self._defaults[name] if value is msgspec.UNSET else value

    def _count(self) -> str:
        count = len(self._layout.positional)
        return f"{count} argument{'' if count == 1 else 's'}, ({self._shown})"

    def _hint(self) -> str:
        """What to send instead, if a list was sent as the payload for the one parameter that is a list."""
        if len(self._layout.positional) != 1:
            return ""
        name = self._layout.positional[0]
        if self._schema["properties"][name].get("type") != "array":
            return ""
        return f'; an array is a list of arguments: to give {name} a list send {{"{name}": [...]}} or [[...]]'

    def _explain(self, fault: str) -> str:
        """Turn msgspec's sentence into one that names the parameter."""
        found = _PLACE.match(fault)
        assert found is not None
        what, path = found["what"], found["path"]
        missing = re.match(r"Object missing required field `(.*)`", what)
        if missing and not path:
            return f"{self._name}: parameter {missing[1]!r} is missing; it takes ({self._shown})"
        place = (path or "").removeprefix(".")
        where = "a named argument" if place.startswith(_EXTRA) else f"parameter {place!r}"
        key = ", a key" if found["key"] else ""
        return f"{self._name}: {where}{key}: {what[:1].lower()}{what[1:]}{self._help(what, place)}"

    def _help(self, what: str, place: str) -> str:
        if place in self._by_name and what.startswith("Expected `array`"):
            return self._hint()
        choices = ", ".join(map(repr, self._choices.get(place, ())))
        return f"; it is one of {choices}" if choices and what.startswith("Invalid enum") else ""


def _lay_out(parameters: Sequence[Parameter]) -> _Layout:
    by_kind: dict[Any, list[str]] = {}
    for parameter in parameters:
        by_kind.setdefault(parameter.kind, []).append(parameter.name)
    return _Layout(
        positional=(
            *by_kind.get(Parameter.POSITIONAL_ONLY, ()),
            *by_kind.get(Parameter.POSITIONAL_OR_KEYWORD, ()),
        ),
        keyword_only=tuple(by_kind.get(Parameter.KEYWORD_ONLY, ())),
        rest=next(iter(by_kind.get(Parameter.VAR_POSITIONAL, ())), None),
        named_rest=next(iter(by_kind.get(Parameter.VAR_KEYWORD, ())), None),
    )


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _choices(hint: Any) -> tuple[Any, ...]:
    hint = _bare(hint)
    if get_origin(hint) is Literal:
        return get_args(hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return tuple(member.value for member in hint)
    return ()


def _field(parameter: Parameter, hint: Any) -> tuple[str, Any, Any]:
    field, name = _FIELD + parameter.name, parameter.name
    match parameter.kind:
        case Parameter.VAR_POSITIONAL:
            return field, list[hint], msgspec.field(name=name, default_factory=list)
        case Parameter.VAR_KEYWORD:
            return field, dict[str, hint], msgspec.field(name=_EXTRA, default_factory=dict)
    if parameter.default is Parameter.empty:
        return field, hint, msgspec.field(name=name)
    # The schema shows a default only if JSON writes it as Python does.
    shown = parameter.default is None or isinstance(parameter.default, bool | int | float | str)
    if isinstance(parameter.default, float):
        shown = math.isfinite(parameter.default)
    return field, hint, msgspec.field(name=name, default=parameter.default if shown else msgspec.UNSET)


def _show(parameter: Parameter, hints: Mapping[str, Any]) -> str:
    hint = _bare(hints.get(parameter.name, Any))
    named = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    shown = str(parameter.replace(annotation=Parameter.empty))
    name, equals, default = shown.partition("=")
    return (
        name if hint is Any else f"{name}: {named.replace('typing.', '')}{' = ' if equals else ''}{default}"
    )
