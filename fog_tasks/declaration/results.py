"""Writes what a task returned as JSON."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fog_tasks.errors import BadResult

_UNWRITABLE = (TypeError, ValueError, OverflowError, msgspec.MsgspecError)

_encoder = msgspec.json.Encoder()


def encode_value(value: Any) -> bytes:
    """Write a value as JSON: bytes as base64, dates in ISO 8601.

    JSON has no word for NaN and infinity, and null would say that there is no value. Raises BadResult, which
    names what cannot be written and where it is.
    """
    try:
        encoded = _encoder.encode(value)
    except RecursionError as fault:
        raise BadResult("it returned what is nested too deeply for JSON, or contains itself") from fault
    except _UNWRITABLE as fault:
        raise BadResult(f"it returned what cannot be written as JSON: {_locate(value, fault)}") from fault
    # The encoder writes null for them: only where there is one they are looked for.
    if b"null" in encoded and (found := _no_number(msgspec.to_builtins(value))) is not None:
        raise BadResult(f"it returned what is no number in JSON: {found}; return None where there is none")
    return encoded


def _no_number(value: Any) -> str | None:
    """Name the first NaN or infinity in what is made of plain types only, and its place."""
    waiting = [("value", value)]
    while waiting:
        path, one = waiting.pop()
        match one:
            case float() if not math.isfinite(one):
                return f"{path} is {one}"
            case dict() | list() | tuple():
                waiting += reversed([(path + step, part) for step, part in _parts(one)])
    return None


def _locate(value: Any, fault: Exception) -> str:
    """Name the innermost part of a value that cannot be written."""
    path = "value"
    inner = _first_unwritable(value)
    while inner is not None:
        step, value, fault = inner
        path += step
        inner = _first_unwritable(value)
    return f"{path} is of type `{type(value).__name__}`: {fault}"


def _first_unwritable(value: Any) -> tuple[str, Any, Exception] | None:
    for step, part in _parts(value):
        try:
            _encoder.encode(part)
        except _UNWRITABLE as fault:
            return step, part, fault
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case Mapping():
            yield from ((f"[{key!r}]", part) for key, part in value.items())
        case list() | tuple() | set() | frozenset():
            yield from ((f"[{position}]", part) for position, part in enumerate(value))
        case msgspec.Struct():
            yield from ((f".{name}", getattr(value, name)) for name in value.__struct_fields__)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            yield from ((f".{field.name}", getattr(value, field.name)) for field in fields)
