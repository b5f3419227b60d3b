"""What workers tell the node that gave them work: one Redis stream per node.

A stream read with a blocking XREAD brings a result the moment it is written; Celery's own result
backend would cost a SET, a PUBLISH and a subscription for each task.

A message to Celery has a ticket, and one or more tasks; a report names the ticket and the task's
place in the message, its `index`.
"""

import msgspec

from broker.contract.messages import ErrorCode

STREAM_LENGTH = 10_000
"""At most about this many entries are kept for a node that does not read."""

FIELD = b"r"
"""The name of each field of a stream entry: there is one for each report in it."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A worker is there, with `slots` processes for tasks of `weight`; sent every second."""

    worker: str
    weight: str
    slots: int


class Running(msgspec.Struct, frozen=True, tag=True):
    """A message's first task has started; each further one starts when the one before has ended.

    It may be missing where all has ended soon, and may come twice.
    """

    ticket: str
    worker: str


class Advanced(msgspec.Struct, frozen=True, tag=True):
    """A running task has reported how far it is."""

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

    `killed` tells that its process ended with it, and all that was to run after it in the same message;
    `worker_lost` that nobody meant it to.
    """

    ticket: str
    code: ErrorCode
    message: str
    ran_ms: float
    index: int = 0
    killed: bool = False
    worker_lost: bool = False


JobReport = Running | Advanced | Done | Failed

Report = Hello | JobReport

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Report)


def stream_name(node: str) -> str:
    """The stream on which a node hears its workers."""
    return f"fog:{node}:reports"


def withdrawn_key(ticket: str) -> str:
    """The Redis set with the places of those members of a message that are not to be run any more."""
    return f"fog:withdrawn:{ticket}"


def is_stream(name: str | None) -> bool:
    """Tell whether a Celery message's `reply_to` asks for reports, or is another client's own."""
    return name is not None and name.startswith("fog:") and name.endswith(":reports")


def encode_report(report: Report) -> bytes:
    """Write a report."""
    return _encoder.encode(report)


def decode_report(data: bytes) -> Report:
    """Read a report; raises msgspec.MsgspecError."""
    report: Report = _decoder.decode(data)
    return report
