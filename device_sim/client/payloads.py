"""Writes arguments as the payload of a submission, and reads the value of an outcome. No I/O."""

import json
from typing import Any

import msgspec

from broker.contract.messages import Outcome
from broker.contract.values import plain
from device_sim.errors import failure

LEAST_DEADLINE = 0.001
"""The least deadline in seconds: a task sent again after its deadline should be answered, but not run."""


def encode(payload: Any = None, *, deadline: float | None = None) -> bytes:
    """Write the arguments of a task as its payload.

    A dict has arguments by name, a list or tuple has them by position. Bytes are sent as they are, None is
    no argument, anything else is the only argument. `deadline`, in seconds from now, becomes the option
    `$deadline`. Raises ValueError for a deadline beside bytes, for one that is given twice, and for what
    JSON cannot hold (NaN, an object of an unknown class).
    """
    if deadline is not None and not deadline > 0:
        raise ValueError(f"a deadline is more than 0 seconds from now, not {deadline!r}")
    if isinstance(payload, bytes | bytearray | memoryview):
        if deadline is not None:
            raise ValueError(
                "a raw payload (bytes) has no room for a deadline; put it into the task's own format"
            )
        return bytes(payload)
    arguments = _plain(payload)
    if deadline is not None:
        return _json(_with_deadline(arguments, deadline))
    return b"" if arguments is None else _json(arguments)


def value_of(outcome: Outcome) -> Any:
    """Give the value of an outcome as plain Python objects; raises the TaskFailed it stands for."""
    if not outcome.ok:
        raise failure(outcome)
    return msgspec.json.decode(outcome.value) if isinstance(outcome.value, msgspec.Raw) else None


def _with_deadline(arguments: Any, deadline: float) -> dict[str, Any]:
    option = {"$deadline": max(LEAST_DEADLINE, round(deadline, 3))}
    match arguments:
        case None:
            return option
        case {"$deadline": _}:
            raise ValueError("the deadline is given twice: as $deadline in the payload and as deadline")
        case dict():
            return {**arguments, **option}
        case list():
            return {"$args": arguments, **option}
        case _:
            return {"$args": [arguments], **option}


def _plain(payload: Any) -> Any:
    # Dataclasses and structs become dicts first, so that a deadline can be added to them.
    try:
        built = msgspec.to_builtins(payload, enc_hook=plain)
    except TypeError as fault:
        raise ValueError(f"the payload cannot be written as JSON: {fault}") from fault
    return list(built) if isinstance(built, tuple) else built


def _json(arguments: Any) -> bytes:
    # Python's own encoder, because msgspec's writes NaN as null without an error.
    try:
        return json.dumps(
            arguments, default=plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError) as fault:
        raise ValueError(f"the payload cannot be written as JSON: {fault}") from fault
