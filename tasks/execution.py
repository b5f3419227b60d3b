"""How a task runs in a worker process: its Celery task, and what that reports to the node."""

import os
import re
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import celery
import redis
from billiard.einfo import ExceptionInfo
from celery.exceptions import SoftTimeLimitExceeded, Terminated, WorkerLostError
from celery.worker.request import Request
from redis.connection import AbstractConnection

from broker.messages import ErrorCode
from tasks.errors import BadArguments, BadResult, TaskEnded
from tasks.progress import reporting
from tasks.reports import (
    FIELD,
    STREAM_LENGTH,
    Advanced,
    Done,
    Failed,
    Report,
    Running,
    encode_report,
    is_stream,
)
from tasks.task import Task

RETRY_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0)
"""Seconds between attempts to report an outcome while Redis is away."""

HARD_LIMIT_GRACE = 1.0
"""Seconds between a task's time limit, raised inside it, and the end of its process."""

LONGEST_SENTENCE = 2_000
"""Characters of a fault's own text that are passed on: an outcome is no place for a dump."""

_JOB_NUMBER = re.compile(r"\.?\s*Job: \d+\.?$")
"""The pool's own numbering, which means nothing to a device."""

PROGRESS_INTERVAL = 0.1
"""Seconds between two percentages of one task that are passed on; the last one always is."""


class ReportChannel:
    """Writes reports to a node's stream, over one connection per process."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._owner = 0
        self._connection: AbstractConnection | None = None
        self._unread = 0

    def send(self, stream: str, report: Report) -> None:
        """Write a report; waits for Redis for some seconds where it is away. Raises redis.RedisError."""
        for pause in (*RETRY_PAUSES, None):
            try:
                self._write(stream, report)
                while self._unread:
                    self._unread -= 1
                    self._connected().read_response()
                return  # noqa: TRY300  # an else would stand after an except that only goes on
            except (redis.ConnectionError, redis.TimeoutError):
                self.disconnect()
                if pause is None:
                    raise
                time.sleep(pause)

    def mention(self, stream: str, report: Report) -> None:
        """Write a report that may be lost, without waiting for Redis to confirm it."""
        try:
            self._write(stream, report)
        except (redis.ConnectionError, redis.TimeoutError):
            self.disconnect()

    def disconnect(self) -> None:
        """Begin a new connection with the next report."""
        connection, self._connection, self._unread = self._connection, None, 0
        if connection is not None and self._owner == os.getpid():
            connection.disconnect()  # type: ignore[no-untyped-call]

    def _write(self, stream: str, report: Report) -> None:
        fields = (FIELD, encode_report(report))
        command: Any = self._connected().send_command
        command("XADD", stream, "MAXLEN", "~", STREAM_LENGTH, "*", *fields)
        self._unread += 1

    def _connected(self) -> AbstractConnection:
        if self._connection is None or self._owner != os.getpid():
            # A connection inherited from the parent would mix two processes' answers.
            self._owner, self._unread = os.getpid(), 0
            pool = redis.ConnectionPool.from_url(self._redis_url, socket_timeout=5.0)
            self._connection = pool.get_connection()
        return self._connection


class ReportingRequest(Request):
    """Tells the node what a worker process cannot tell itself: that it was killed."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        super().on_timeout(soft, timeout)
        if not soft:
            self._report(ErrorCode.TIMED_OUT, "it ran past its time limit and was killed")

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> None:
        super().on_failure(exc_info, send_failed_event, return_ok)
        fault = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(fault, WorkerLostError) and not isinstance(fault, Terminated):
            self._report(
                ErrorCode.FAILED,
                f"the process that ran it died: {_JOB_NUMBER.sub('', str(fault))}",
                worker_lost=True,
            )

    def _report(self, code: ErrorCode, message: str, *, worker_lost: bool = False) -> None:
        ran_ms = 1e3 * (time.time() - self.time_start) if self.time_start else 0.0
        if is_stream(self.reply_to):
            report = Failed(self.id, code, message, ran_ms, worker_lost=worker_lost)
            assert isinstance(self.task, Execution)
            self.task.channel.send(self.reply_to, report)


class Execution(celery.Task):  # type: ignore[type-arg]
    """A registered task as Celery runs it.

    Called by a node (`reply_to` is its stream) it reports how the task went and returns nothing;
    called by any other Celery client it returns the value or raises.
    """

    Request = "tasks.execution:ReportingRequest"
    throws = (TaskEnded, BadArguments)
    abstract = True

    def __init__(self, definition: Task[..., Any], *, redis_url: str) -> None:
        self.definition = definition
        self.name = definition.name
        # For clients other than a node, which sends its own limits with each task.
        # Fractions of a second are honoured; Celery's annotations are narrower than its code.
        self.soft_time_limit = definition.timeout  # type: ignore[assignment]
        self.time_limit = definition.timeout + HARD_LIMIT_GRACE  # type: ignore[assignment]
        self.channel = ReportChannel(redis_url)

    def run(self, *arguments: Any, **named: Any) -> Any:
        """Run the task with arguments as JSON has them."""
        stream, ticket = self.request.reply_to, self.request.id
        if not is_stream(stream):
            return self.definition.value(arguments, named)
        assert stream is not None
        assert ticket is not None
        began = time.perf_counter()
        try:
            self.channel.mention(stream, Running(ticket, str(self.request.hostname)))
            began = time.perf_counter()
            with reporting(_percentages(ticket, partial(self.channel.mention, stream))):
                value = self.definition.run(arguments, named)
            last: Report = Done(ticket, value, 1e3 * (time.perf_counter() - began))
        except BaseException as fault:
            code, message = explain(fault)
            self._send_last(stream, Failed(ticket, code, message, 1e3 * (time.perf_counter() - began)))
            if isinstance(fault, Exception):
                raise
            raise TaskEnded(message) from fault
        self._send_last(stream, last)
        return None

    def _send_last(self, stream: str, report: Report) -> None:
        try:
            self.channel.send(stream, report)
        except SoftTimeLimitExceeded:
            # The limit came when the work was done already; it has interrupted the connection only.
            self.channel.disconnect()
            self.channel.send(stream, report)


def explain(fault: BaseException) -> tuple[ErrorCode, str]:
    """Say for the device why a task ended without a value."""
    match fault:
        case SoftTimeLimitExceeded():
            return ErrorCode.TIMED_OUT, "it ran past its time limit"
        case BadArguments():
            return ErrorCode.BAD_ARGUMENTS, str(fault)
        case BadResult():
            return ErrorCode.FAILED, str(fault)
        case SystemExit():
            return ErrorCode.FAILED, f"it called sys.exit({fault.code!r})"
        case _:
            return ErrorCode.FAILED, f"{type(fault).__name__}: {_sentence(fault)}{_place(fault)}"


def _sentence(fault: BaseException) -> str:
    """What a fault says of itself, in text that every encoding can carry, and not at any length."""
    try:
        said = str(fault)
    except Exception as worse:  # noqa: BLE001  # whatever a task's own __str__ does, the node has to hear
        said = f"(its text cannot be told: {type(worse).__name__})"
    said = said.encode("utf-8", "backslashreplace").decode()
    return said if len(said) <= LONGEST_SENTENCE else said[:LONGEST_SENTENCE] + "…"


def _place(fault: BaseException) -> str:
    frames = traceback.extract_tb(fault.__traceback__)
    return f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""  # noqa: PTH119


def _percentages(ticket: str, send: Callable[[Report], None]) -> Callable[[float], None]:
    last = 0.0

    def report(percent: float) -> None:
        nonlocal last
        now = time.monotonic()
        if percent >= 100 or now - last >= PROGRESS_INTERVAL:
            last = now
            send(Advanced(ticket, percent))

    return report
