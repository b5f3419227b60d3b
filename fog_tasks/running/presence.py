"""What a worker says of itself to its node, and how the node tells it to begin, and to take nothing more.

A node that has read its tasks again has two workers of each weight for a while: one of the new version, which
waits until it is told to begin, and one of the old, which is told to finish first. So no worker runs what its
node does not know.
"""

import contextlib
import enum
import logging
import signal
import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

import redis
from celery.worker import state

from fog_tasks.reporting.channel import ReportChannel
from fog_tasks.reporting.reports import Finishing, Hello, Waiting, is_stream

BEGIN = signal.SIGUSR1
"""By which a node tells a worker that waits to take messages."""

FINISH = signal.SIGWINCH
"""By which a node tells a worker to take no more messages, and to end when it has run what it has. nginx
tells its workers so by the same signal; without a handler it does nothing."""

LAST_READ = 2.0
"""Seconds after the last message was asked for within which none can arrive any more: kombu asks Redis to
wait for one a second long. A worker that ended sooner might take a message with it."""


class Request(Protocol):
    """A message that a worker has."""

    id: str
    reply_to: str | None

    @property
    def begun(self) -> bool:
        """Whether it was given to a process."""


class _Stage(enum.Enum):
    WAITING = enum.auto()
    WORKING = enum.auto()
    FINISHING = enum.auto()


class Presence:
    """One worker, as its node hears of it. `queue` is where it takes its messages from.

    With `waits` it takes none before it is told to begin.
    """

    def __init__(
        self, hello: Hello, channel: ReportChannel, *, stream: str, queue: str, waits: bool = False
    ) -> None:
        self._hello = hello
        self._channel = channel
        self._stream = stream
        self._queue = queue
        self._stage = _Stage.WAITING if waits else _Stage.WORKING
        self._returned: set[str] = set()
        self._asked_last = 0.0

    def say(self) -> None:
        """Tell the node that the worker is there, and what it is about. Raises redis.RedisError."""
        hello = self._hello
        match self._stage:
            case _Stage.WAITING:
                self._send(Waiting(hello.worker, hello.weight))
            case _Stage.WORKING:
                self._send(hello)
            case _Stage.FINISHING:
                # Its version is the node's no more.
                running = [one for one in self._left() if is_stream(one.reply_to)]
                self._send(Hello(hello.worker, hello.weight, len(running), leaving=True))
                # Each time, should Redis have been away.
                self._send(Finishing(hello.worker, hello.weight, tuple(self._returned)))

    def hear(self, numbers: Collection[int], consumer: Any) -> None:
        """Do what signals say that have come."""
        before = self._stage
        if BEGIN in numbers and self._stage is _Stage.WAITING:
            self._stage = _Stage.WORKING
            consumer.add_task_queue(self._queue)
        if FINISH in numbers and self._stage is not _Stage.FINISHING:
            self._stage = _Stage.FINISHING
            self._asked_last = time.monotonic()
            # It warns of each message that comes all the same, which it puts back into the queue.
            logging.getLogger("kombu.transport.virtual.base").setLevel(logging.ERROR)
            consumer.cancel_task_queue(self._queue)
            self._returned = {one.id for one in self._requests() if is_stream(one.reply_to) and not one.begun}
            # Celery drops them when their turn comes.
            state.revoked.update(self._returned)
        if self._stage is before:
            return
        with contextlib.suppress(redis.RedisError):
            self.say()

    def leave(self, end: Callable[[], None]) -> None:
        """Call `end` if the worker was told to finish, and has."""
        quiet = time.monotonic() - self._asked_last > LAST_READ
        if self._stage is _Stage.FINISHING and quiet and not self._left():
            self.say()
            end()

    def _left(self) -> list[Request]:
        """What the worker has to run, of nodes and of other clients of Celery."""
        return [one for one in self._requests() if one.id not in self._returned]

    def _requests(self) -> list[Request]:
        return list(state.reserved_requests)

    def _send(self, report: Hello | Waiting | Finishing) -> None:
        self._channel.send(self._stream, report)


def hear_signals() -> None:
    """Once Celery is up: let both signals wake its event loop, and do nothing by themselves."""
    for number in (BEGIN, FINISH):
        signal.signal(number, lambda *_: None)
