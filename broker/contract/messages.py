"""What is carried: the messages of the contract as msgspec structs. What devices send is in submissions.py.

Everything is JSON, so that a person can type and read it, but for the hand-off between nodes: it
is MessagePack, which carries a raw payload without inflating it.
"""

import enum
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

from broker.contract.message import UserProperties
from broker.contract.topics import Weight
from broker.errors import BadPayload

JSON = "application/json"
"""The content type of what devices are told."""


class ErrorCode(enum.StrEnum):
    """Why a task has no value: the closed list that topics.md explains."""

    BAD_TOPIC = "bad-topic"
    BAD_PAYLOAD = "bad-payload"
    UNKNOWN_TASK = "unknown-task"
    BAD_ARGUMENTS = "bad-arguments"
    TOO_LARGE = "too-large"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate-limited"
    OVERLOADED = "overloaded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    UNROUTABLE = "unroutable"


class TaskError(msgspec.Struct, frozen=True):
    """Why a task ended without a value, in a code for programs and a sentence for people."""

    code: ErrorCode
    message: str


NO_TIME = 0.0
"""A duration that does not travel: msgspec leaves out what is this very object, and not what equals it."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one task ended. Durations are in milliseconds; those of 0 do not travel.

    `ok` comes first on the wire. `value` is JSON exactly as the task's worker wrote it and is
    there when `ok` is true; `error` is there when it is false. `route` lists the nodes that the
    outcome passed on its way back: the one that ran the task first, the device's own node last.
    Where the node chose between places, `why` says why it chose this one, and `predicted_ms` how
    long it thought it would take. `repeated` tells that it was sent before, for the same task.
    """

    ok: bool
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: TaskError | msgspec.UnsetType = msgspec.UNSET
    id: str
    task: str = ""
    node: str
    route: tuple[str, ...]
    waited_ms: float = NO_TIME
    ran_ms: float = NO_TIME
    total_ms: float = NO_TIME
    why: str | msgspec.UnsetType = msgspec.UNSET
    predicted_ms: float | msgspec.UnsetType = msgspec.UNSET
    repeated: bool = False


class Stage(enum.StrEnum):
    """How far a task has come."""

    ACCEPTED = "accepted"
    PLACED = "placed"
    RUNNING = "running"


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A step of one task: accepted, placed (at `node`), running (with `percent`, where reported)."""

    stage: Stage
    id: str
    task: str
    node: str
    percent: float | None = None


MOST_SLOTS = 100_000
"""What a node may say that it can run at once: a larger number is a mistake, or a lie that draws work."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What of one weight waits and runs at a node."""

    queued: Annotated[int, msgspec.Meta(ge=0)]
    running: Annotated[int, msgspec.Meta(ge=0)]
    slots: Annotated[int, msgspec.Meta(ge=0, le=MOST_SLOTS)]
    estimated_wait_ms: Annotated[float, msgspec.Meta(ge=0)]


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the tasks: accepted = done + failed + expired + cancelled + rejected + open."""

    accepted: int = 0
    done: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0
    rejected: int = 0
    open: int = 0


class NodeState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node's state, retained and sent once a second; its last will is the same with online false.

    `devices` holds the books of the devices that were heard of last.
    `birth` is higher in each life of a node, so that a late will cannot end a newer life. `cloud` tells
    a cloud gateway from a fog node, `url` is where other nodes reach its broker. `backlog_ms` is for
    the policy `original`: all waiting tasks one after the other, by its own estimates. `denied` counts the
    publishes at its broker that their users may not make.
    """

    node: str
    online: bool
    version: str
    birth: int = 0
    cloud: bool = False
    url: str = ""
    backlog_ms: float = 0.0
    load: dict[Weight, Load] = {}
    books: Books = Books()
    devices: dict[str, Books] = {}
    denied: int = 0
    trouble: tuple[str, ...] = ()


class CatalogEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task a node offers; `parameters` is a JSON Schema of the object form of its payload.

    `splits` tells that it may be done in parts, on several nodes at once. Without `timeout_s` the node does
    not know for how long it may run.
    """

    task: str
    weight: Weight
    parameters: dict[str, Any]
    raw: bool = False
    about: str = ""
    timeout_s: float | None = None
    splits: bool = False
    typical_ms: float | None = None


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """All the tasks a node offers."""

    node: str
    tasks: tuple[CatalogEntry, ...]


class HandOff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task on its way to another node.

    `budget_ms` is what remains of the deadline, never a timestamp: clocks of different machines
    are not compared. `route` lists the nodes visited so far, the first one the device's own. `part` tells
    that it is a part of a task that was split. `user_properties` are the device's.
    """

    device: str
    id: str
    payload: bytes
    route: tuple[str, ...]
    budget_ms: float | None = None
    max_hops: int | None = None
    part: bool = False
    user_properties: UserProperties = ()


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a node tells the origin of a hand-off: a step of the task, or how it ended.

    With the end comes `wait_ms`, for how long the next of this weight would wait there: news that is
    younger than the node's last state, and costs no message.
    """

    progress: Progress | None = None
    outcome: Outcome | None = None
    wait_ms: float | None = None


class Wait(msgspec.Struct, frozen=True):
    """The answer to a node that asked: what a task would wait here now."""

    wait_ms: Annotated[float, msgspec.Meta(ge=0)]


UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What a payload fails with. One nested deeper than the interpreter's stack ends in RecursionError."""

_Read = TypeVar("_Read")
_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


def encode(message: Outcome | Progress | NodeState | Catalog | Report | Wait | HandOff) -> bytes:
    """Write a message as it travels."""
    return (_msgpack if isinstance(message, HandOff) else _json).encode(message)


def _reader(type: type[_Read], what: str) -> Callable[[bytes], _Read]:
    """Make what reads one type of message; it raises BadPayload."""
    decode = (msgspec.msgpack.Decoder if type is HandOff else msgspec.json.Decoder)(type).decode

    def read(payload: bytes) -> _Read:
        try:
            return decode(payload)
        except UNREADABLE as fault:
            raise BadPayload(f"this is not {what}: {fault}") from fault

    return read


decode_outcome = _reader(Outcome, "an outcome")
decode_progress = _reader(Progress, "a progress message")
decode_state = _reader(NodeState, "a node's state")
decode_catalog = _reader(Catalog, "a node's catalog")
decode_report = _reader(Report, "a report")
decode_wait = _reader(Wait, "a wait")
decode_hand_off = _reader(HandOff, "a hand-off")
