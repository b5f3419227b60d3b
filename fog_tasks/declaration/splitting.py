"""Tasks done in parts: one step divides the arguments, another puts the values of the parts together.

Both call code of the task's author. So they run in a worker, like the task itself.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fog_tasks.declaration.results import encode_value
from fog_tasks.declaration.task import Task
from fog_tasks.errors import BadArguments, BadResult

MOST_PARTS = 256
"""Parts of a task at most: each is a job of its own, in memory and on its way to a node."""


class _Step:
    """Runs where the whole task would, and within its limits."""

    def __init__(self, whole: Task[..., Any], name: str) -> None:
        self._whole = whole
        self.name = name
        self.weight, self.timeout, self.cpu = whole.weight, whole.timeout, whole.cpu


class SplitStep(_Step):
    """Divides the payload of a task into those of its parts."""

    def __init__(self, whole: Task[..., Any]) -> None:
        super().__init__(whole, split_name(whole.name))

    @staticmethod
    def payload(count: int, payload: bytes) -> bytes:
        """The payload of this step: the number of parts, and the payload to divide."""
        return msgspec.msgpack.encode((count, payload))

    def read(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of `run` in a payload."""
        return msgspec.msgpack.decode(payload, type=tuple[int, bytes]), {}

    def run(self, arguments: Sequence[Any], _named: Mapping[str, Any]) -> bytes:
        """Return the payloads of the parts, as a list of base64 in JSON. Raises BadResult."""
        count, payload = arguments
        whole = self._whole
        by_name = whole.by_name(base64.b64decode(payload))
        assert whole.split is not None
        parts = whole.split(by_name, count)
        if not isinstance(parts, list | tuple) or not parts:
            raise BadResult(f"split has to return a list of parts, not {type(parts).__name__}")
        if len(parts) > MOST_PARTS:
            raise BadResult(f"split returned {len(parts)} parts; there may be {MOST_PARTS}")
        return encode_value([self._payload(number, part) for number, part in enumerate(parts)])

    def _payload(self, number: int, part: object) -> bytes:
        if not isinstance(part, Mapping):
            raise BadResult(f"part {number} of split is not a dictionary of arguments by name")
        try:
            return self._whole.payload_of(part)
        except (BadArguments, BadResult) as fault:
            raise BadResult(f"part {number} of split: {fault}") from fault


class MergeStep(_Step):
    """Puts the values of a task's parts together."""

    def __init__(self, whole: Task[..., Any]) -> None:
        super().__init__(whole, merge_name(whole.name))

    @staticmethod
    def payload(values: Sequence[bytes]) -> bytes:
        """The payload of this step: the values of the parts, each in JSON."""
        return b"[" + b",".join(values) + b"]"

    def read(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of `run` in a payload."""
        return (msgspec.json.decode(payload),), {}

    def run(self, arguments: Sequence[Any], _named: Mapping[str, Any]) -> bytes:
        """Return the value of the whole task in JSON."""
        assert self._whole.merge is not None
        return encode_value(self._whole.merge(list(arguments[0])))


Step = SplitStep | MergeStep


def split_name(task: str) -> str:
    """The name of the step that divides a task. No topic can contain it: no device can submit it."""
    return f"{task}/split"


def merge_name(task: str) -> str:
    """The name of the step that merges the parts of a task. No topic can contain it."""
    return f"{task}/merge"


def part_name(task: str) -> str:
    """The name under which a node remembers how long a part of a task runs."""
    return f"{task}/part"


def steps_of(task: Task[..., Any]) -> tuple[Step, ...]:
    """The steps of a task that can be done in parts; other tasks have none."""
    return (SplitStep(task), MergeStep(task)) if task.split is not None else ()
