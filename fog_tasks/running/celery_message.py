"""A task message as Celery's workers read it from a Redis list.

Celery's own client takes 0.3 ms to send one, and blocks; a node sends them from its event loop. The
format is Celery's documented message protocol 2 in kombu's envelope for brokers without headers. Clients in
other languages write it too. A test compares it with what Celery's own client writes.
"""

import contextlib
import functools
import reprlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import getpid
from typing import Any

import msgspec

PLAIN_JSON = "plain-json"
"""The serialiser of what nodes send. kombu's own JSON converts an object with a `__type__` key, and a device
may send any object. Raw payloads are base64 in it."""

CONTENT_TYPE = "application/x-plain-json"

SENDER = "fog_sender"
"""The header that tells a worker, for its log, what a device calls the task."""

_NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}

_encoder = msgspec.json.Encoder()


class _Properties(msgspec.Struct):
    correlation_id: str = ""


class _Identified(msgspec.Struct):
    properties: _Properties = msgspec.field(default_factory=_Properties)


_identified = msgspec.json.Decoder(_Identified)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """Seconds after which a task is interrupted, and after which its process is ended; None for never."""

    soft: float | None
    hard: float | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What Celery's tools, such as Flower, show in place of a message's name and arguments."""

    name: str
    arguments: str


def encode_message(
    *,
    task: str,
    arguments: Sequence[Any],
    named: Mapping[str, Any],
    ticket: str,
    queue: str,
    reply_to: str,
    limits: TimeLimits,
    sender: Sequence[str] = (),
    shown: Shown | None = None,
) -> bytes:
    """Write one message; `ticket` becomes its Celery task id. `sender` is a device, and its id of the task.

    Without `shown`, Celery's tools show the task's name and the beginning of its arguments.
    """
    headers: dict[str, Any] = {
        "lang": "py",
        "task": task,
        "id": ticket,
        "root_id": ticket,
        "parent_id": None,
        "group": None,
        "group_index": None,
        "shadow": shown and shown.name,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": (limits.hard, limits.soft),
        # For Flower. Celery would format all of the arguments for it; reprlib stops early.
        "argsrepr": _beginning(arguments) if shown is None else shown.arguments,
        "kwargsrepr": _beginning(named),
        "origin": _origin(),
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    if sender:
        headers[SENDER] = sender
    properties = {
        "correlation_id": ticket,
        "reply_to": reply_to,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        # The body is text already: base64 would only inflate it.
        "body_encoding": None,
        "delivery_tag": ticket,
    }
    envelope = {
        "body": _encoder.encode((arguments, named, _NO_CALLBACKS)).decode(),
        "content-encoding": "utf-8",
        "content-type": CONTENT_TYPE,
        "headers": headers,
        "properties": properties,
    }
    return _encoder.encode(envelope)


def ticket_of(message: bytes) -> str:
    """The Celery task id of a message that lies in a queue; empty for one that has none."""
    try:
        return _identified.decode(message).properties.correlation_id
    except msgspec.MsgspecError:
        return ""


@functools.cache
def _origin() -> str:
    return f"{getpid()}@{socket.gethostname()}"


def _beginning(value: object) -> str:
    with contextlib.suppress(RecursionError):
        return reprlib.repr(value)
    return "…"
