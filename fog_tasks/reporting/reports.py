"""The reports of workers to the node that gave them work, on one Redis stream for each node.

The node reads the stream with a blocking XREAD, which returns when a report is written. Celery's own result
backend would cost a SET, a PUBLISH and a subscription for each task.

A message to Celery has a ticket, and one or more tasks. A report names the ticket and the place of the task
in the message, its `index`.
"""

import msgspec

from broker.contract.messages import ErrorCode

STREAM_LENGTH = 10_000
"""About so many entries are kept for a node that does not read, so that they cannot fill the Redis."""

FIELD = b"r"
"""The name of every field of a stream entry, which has a field for each report."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A worker is ready, with `slots` processes for tasks of `weight`; sent every second.

    `tasks` are the digests of the user's own modules, by their names. One that is `leaving` runs in its slots
    what it has, and takes no more; without any it has left.
    """

    worker: str
    weight: str
    slots: int
    tasks: dict[str, int] | None = None
    leaving: bool = False


class Waiting(msgspec.Struct, frozen=True, tag=True):
    """A worker is up, and waits to be told to begin; sent every second."""

    worker: str
    weight: str


class Finishing(msgspec.Struct, frozen=True, tag=True):
    """A worker takes no more messages; those with the tickets `returned` it had, and will not begin."""

    worker: str
    weight: str
    returned: tuple[str, ...] = ()


class Running(msgspec.Struct, frozen=True, tag=True):
    """The first task of a message has started; the others follow, one after the other.

    It is not sent if all of them have ended soon, and it may be sent twice.
    """

    ticket: str
    worker: str


class Advanced(msgspec.Struct, frozen=True, tag=True):
    """A running task has called `progress`."""

    ticket: str
    percent: float
    index: int = 0


class Done(msgspec.Struct, frozen=True, tag=True):
    """A task returned; `value` is JSON."""

    ticket: str
    value: bytes
    ran_ms: float
    index: int = 0


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A task ended without a value.

    `killed`: its process ended too, and with it the tasks that were to follow in the same message.
    `worker_lost`: nobody meant to end that process.
    """

    ticket: str
    code: ErrorCode
    message: str
    ran_ms: float
    index: int = 0
    killed: bool = False
    worker_lost: bool = False


class Owner(msgspec.Struct, frozen=True, tag=True):
    """A node hears this stream; sent every second. `birth` is the number of its life."""

    birth: int


JobReport = Running | Advanced | Done | Failed

Report = Hello | Waiting | Finishing | Owner | JobReport

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Report)


def stream_name(node: str) -> str:
    """The stream from which a node reads the reports of its workers."""
    return f"fog:{node}:reports"


def withdrawn_key(ticket: str) -> str:
    """The Redis set with the places of the tasks of a message that must not run any more."""
    return f"fog:withdrawn:{ticket}"


def is_stream(name: str | None) -> bool:
    """Whether the `reply_to` of a Celery message is a node's stream; it may be another client's queue."""
    return name is not None and name.startswith("fog:") and name.endswith(":reports")


def encode_report(report: Report) -> bytes:
    """Write a report."""
    return _encoder.encode(report)


def decode_report(data: bytes) -> Report:
    """Read a report; raises msgspec.MsgspecError."""
    report: Report = _decoder.decode(data)
    return report
