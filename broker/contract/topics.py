"""The topic contract: the only code that knows these strings.

A topic is parsed into one of the frozen structs below and built from it with `str()`;
`parse(str(topic)) == topic` holds for every topic. What the levels mean is told to people who
publish in topics.md.
"""

import enum
import re
from collections.abc import Callable
from typing import ClassVar

import msgspec

from broker.errors import BadTopic

ROOT = "fog"
CLOUD = "cloud"
"""The mesh address that every cloud gateway listens on, whatever its own name is."""

ANONYMOUS = "anonymous"
"""The device of a task whose sender cannot be known."""

MAX_LEVEL_BYTES = 256
"""A level longer than this is refused: names are shown, stored and sent back with each outcome."""

_SPECIAL = re.compile("[/+#]")

_NOT_ALLOWED = "\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufdd0-\\ufdef" + "".join(
    f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17)
)
"""What MQTT 3.1.1 (section 1.5.3) keeps out of text: control characters, surrogates and what Unicode says is
no character. A fixed rule: what can be printed differs between versions of Python, and so between nodes."""

NO_TEXT = re.compile(f"[{_NOT_ALLOWED}]")

# ASCII without / + #: nearly every level is so, and five are looked at for each task.
_ORDINARY = re.compile(rf"[ -\"$-*,-.0-~]{{1,{MAX_LEVEL_BYTES}}}")


class Weight(enum.StrEnum):
    """How heavy a task is, and so where it is to run; AUTO takes the weight the task declares."""

    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"
    AUTO = "auto"


WEIGHTS = (Weight.LIGHT, Weight.MEDIUM, Weight.HEAVY)
"""The weights a task can be run with: all but AUTO."""


def level_fault(level: str) -> str | None:
    """Say in a few words why `level` cannot be one level of a topic, or None if it can."""
    if _ORDINARY.fullmatch(level):
        return None
    if not level:
        return "is empty"
    if _SPECIAL.search(level):
        return "contains one of / + #"
    found = NO_TEXT.search(level)
    if found is not None:
        return f"contains U+{ord(found[0]):04X}, which MQTT does not allow"
    if len(level.encode("utf-8", "replace")) > MAX_LEVEL_BYTES:
        return f"is longer than {MAX_LEVEL_BYTES} bytes"
    return None


def as_text(text: str) -> str:
    """The text as MQTT can carry it: U+FFFD stands for each character that it does not allow."""
    return NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)


def is_level(level: str) -> bool:
    """Tell whether `level` can stand as one level of a topic."""
    return level_fault(level) is None


class Topic(msgspec.Struct, frozen=True):
    """Base of the topics of the contract; `FORM` is how the levels below `fog/` follow from the fields."""

    FORM: ClassVar = ""

    def __str__(self) -> str:
        return f"{ROOT}/{self.FORM.format(self)}"


class TaskTopic(Topic, frozen=True):
    """`fog/tasks/<weight>/<task>[/<device>[/<id>]]`: a device submits a task."""

    weight: Weight
    task: str
    device: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        if self.id is not None and self.device is None:
            raise BadTopic("a task topic with an id needs a device before it")

    def __str__(self) -> str:
        named = (self.device, self.id)
        return "/".join((ROOT, "tasks", self.weight, self.task, *(one for one in named if one is not None)))


class ResultTopic(Topic, frozen=True):
    """`fog/results/<device>/<id>`: the outcome of a task."""

    device: str
    id: str

    FORM: ClassVar = "results/{0.device}/{0.id}"


class ProgressTopic(Topic, frozen=True):
    """`fog/progress/<device>/<id>`: how far a task has come."""

    device: str
    id: str

    FORM: ClassVar = "progress/{0.device}/{0.id}"


class CancelTopic(Topic, frozen=True):
    """`fog/cancel/<device>/<id>`: a device takes a task back."""

    device: str
    id: str

    FORM: ClassVar = "cancel/{0.device}/{0.id}"


class StateTopic(Topic, frozen=True):
    """`fog/nodes/<node>/state`: retained, and the node's last will."""

    node: str

    FORM: ClassVar = "nodes/{0.node}/state"


class CatalogTopic(Topic, frozen=True):
    """`fog/nodes/<node>/catalog`: retained, the tasks that a node offers."""

    node: str

    FORM: ClassVar = "nodes/{0.node}/catalog"


class MeshTaskTopic(Topic, frozen=True):
    """`fog/mesh/<node>/tasks/<weight>/<task>/<origin>/<key>`: a task handed to another node."""

    node: str
    weight: Weight
    task: str
    origin: str
    key: str

    FORM: ClassVar = "mesh/{0.node}/tasks/{0.weight}/{0.task}/{0.origin}/{0.key}"


class MeshResultTopic(Topic, frozen=True):
    """`fog/mesh/<node>/results/<key>`: what came of a hand-off, sent back to `node`."""

    node: str
    key: str

    FORM: ClassVar = "mesh/{0.node}/results/{0.key}"


class MeshCancelTopic(Topic, frozen=True):
    """`fog/mesh/<node>/cancel/<origin>/<key>`: the origin takes a hand-off back."""

    node: str
    origin: str
    key: str

    FORM: ClassVar = "mesh/{0.node}/cancel/{0.origin}/{0.key}"


class MeshAskTopic(Topic, frozen=True):
    """`fog/mesh/<node>/asks/<weight>/<task>/<origin>/<key>`: a node asks how long a task would wait there."""

    node: str
    weight: Weight
    task: str
    origin: str
    key: str

    FORM: ClassVar = "mesh/{0.node}/asks/{0.weight}/{0.task}/{0.origin}/{0.key}"


class MeshWaitTopic(Topic, frozen=True):
    """`fog/mesh/<node>/waits/<key>`: the answer, sent back to `node`."""

    node: str
    key: str

    FORM: ClassVar = "mesh/{0.node}/waits/{0.key}"


AnyTopic = (
    TaskTopic
    | ResultTopic
    | ProgressTopic
    | CancelTopic
    | StateTopic
    | CatalogTopic
    | MeshTaskTopic
    | MeshResultTopic
    | MeshCancelTopic
    | MeshAskTopic
    | MeshWaitTopic
)

_OF_A_DEVICE: dict[str, Callable[[str, str], AnyTopic]] = {
    "results": ResultTopic,
    "progress": ProgressTopic,
    "cancel": CancelTopic,
}
_OF_A_NODE: dict[str, Callable[[str], AnyTopic]] = {"state": StateTopic, "catalog": CatalogTopic}

TASK_FILTER = f"{ROOT}/tasks/#"
CANCEL_FILTER = f"{ROOT}/cancel/#"
STATE_FILTER = f"{ROOT}/nodes/+/state"
CATALOG_FILTER = f"{ROOT}/nodes/+/catalog"


FOR_ONCE = (f"{ROOT}/tasks/", f"{ROOT}/cancel/", f"{ROOT}/mesh/")
"""What the topics begin with whose messages are orders: kept as retained they would be given to nobody who
asked for them, and shown to everybody else."""


def is_for_once(topic: str) -> bool:
    """Tell whether the messages of a topic are never retained: an empty retained one there is no order."""
    return topic.startswith(FOR_ONCE)


def result_filter(device: str) -> str:
    """The filter under which a device hears all its outcomes."""
    return f"{ROOT}/results/{device}/+"


def progress_filter(device: str) -> str:
    """The filter under which a device hears the progress of all its tasks."""
    return f"{ROOT}/progress/{device}/+"


def parse(topic: str) -> AnyTopic:
    """Parse a topic of the contract.

    Raises BadTopic, with the device and the id where they can still be read.
    """
    levels = topic.split("/")
    match levels[1:] if levels[0] == ROOT else ():
        case ["tasks", *rest]:
            return _parse_task(rest)
        case ["results" | "progress" | "cancel" as kind, device, name]:
            found = _OF_A_DEVICE[kind](device, name)
        case ["nodes", node, "state" | "catalog" as kind]:
            found = _OF_A_NODE[kind](node)
        case ["mesh", node, "tasks", weight, task, origin, key]:
            found = MeshTaskTopic(node, _weight(weight), task, origin, key)
        case ["mesh", node, "results", key]:
            found = MeshResultTopic(node, key)
        case ["mesh", node, "cancel", origin, key]:
            found = MeshCancelTopic(node, origin, key)
        case ["mesh", node, "asks", weight, task, origin, key]:
            found = MeshAskTopic(node, _weight(weight), task, origin, key)
        case ["mesh", node, "waits", key]:
            found = MeshWaitTopic(node, key)
        case _:
            raise BadTopic(f"topic {topic[:200]!r} is not part of the contract; see topics.md")
    for level in levels:
        _check_level(level)
    return found


def _parse_task(rest: list[str]) -> TaskTopic:
    try:
        _check_count(rest)
        for level in rest:
            _check_level(level)
        return TaskTopic(_weight(rest[0]), *rest[1:])
    except BadTopic as fault:
        # Who sent it may be readable all the same, and then the fault can be answered.
        device = _readable(rest, 2)
        name = _readable(rest, 3) if device is not None else None
        raise BadTopic(str(fault), device=device, id=name) from None


def _check_count(rest: list[str]) -> None:
    if not 2 <= len(rest) <= 4:
        raise BadTopic(f"{len(rest)} levels after fog/tasks; see topics.md: <weight>/<task>/<device>/<id>")


def _readable(levels: list[str], position: int) -> str | None:
    if position < len(levels) and is_level(levels[position]):
        return levels[position]
    return None


def _check_level(level: str) -> None:
    fault = level_fault(level)
    if fault is not None:
        raise BadTopic(f"level {level[:20]!r} {fault}")


def _weight(level: str) -> Weight:
    try:
        return Weight(level)
    except ValueError:
        known = ", ".join(Weight)
        raise BadTopic(f"weight {level[:20]!r} is none of {known}") from None
