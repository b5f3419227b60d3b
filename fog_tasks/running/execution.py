"""Runs tasks in a worker process: the Celery tasks for one message of one or of many, and their reports."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import celery
import msgspec
from billiard.einfo import ExceptionInfo
from celery.exceptions import SoftTimeLimitExceeded, WorkerLostError
from celery.worker.request import Request
from celery.worker.state import active_requests
from kombu.asynchronous import get_event_loop

from broker.contract.messages import ErrorCode
from fog_tasks.declaration.registry import Registry
from fog_tasks.declaration.task import HARD_LIMIT_GRACE, Runnable
from fog_tasks.errors import BadArguments, BadResult, NotRetried, TaskEnded
from fog_tasks.progress import PROGRESS_INTERVAL, reporting
from fog_tasks.reporting.channel import ReportChannel
from fog_tasks.reporting.reports import Advanced, Done, Failed, Report, Running, is_stream
from fog_tasks.running.celery_message import SENDER
from fog_tasks.running.faults import explain
from fog_tasks.running.limits import limits
from fog_tasks.running.output import TaskOutput
from fog_tasks.running.stopping import Stopping

BATCH = "weighbridge/batch"
"""The Celery name of the task that runs many; the slash keeps it apart from the names of registered tasks."""

TELL_AFTER = 0.005
"""Seconds for which a message runs before the node is told so: most have ended by then, and the report of
their end says enough."""

LOOK_INTERVAL = 0.02
"""Seconds between two looks, from then on, whether a long task keeps a batch from sending its reports."""

ASK_INTERVAL = 0.05
"""Seconds after which a batch asks again which of its tasks were withdrawn."""

_JOB_NUMBER = re.compile(r"\.?\s*Job: \d+\.?$")
"""The number that Celery's pool gives a job; it means nothing to a device."""

BatchItem = tuple[str, Sequence[Any], Mapping[str, Any], float, Sequence[str]]
"""A task's name, arguments, named arguments and time limit in seconds, and the sender: device and id."""


class Member(msgspec.Struct, frozen=True):
    """One task of a message: the message's ticket, the task's place in it, its worker, the node's stream.

    `tell` reports how it ended, at once or together with others. `stopping` is that of the worker.
    """

    ticket: str
    index: int
    worker: str
    stream: str
    channel: ReportChannel
    tell: Callable[[str, Report], None]
    stopping: Stopping | None


class ReportingRequest(Request):
    """Reports from the worker's parent what its child cannot: that a message still runs, or was killed.

    A message that ends soon is never reported as running: that would be half of all reports. If a long task
    keeps a batch from sending what it has gathered, or if its process dies, the parent sends that.
    """

    _began: float | None = None
    _apply_result: Any

    @property
    def begun(self) -> bool:
        """Whether it was given to a process; until then the worker can still leave it to others."""
        return self._apply_result is not None

    def on_accepted(self, pid: Any, time_accepted: float) -> None:
        self._began = time_accepted
        super().on_accepted(pid, time_accepted)
        loop = get_event_loop()
        if loop is not None and is_stream(self.reply_to):
            loop.call_later(TELL_AFTER, self._tell_running)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        super().on_timeout(soft, timeout)
        if not soft:
            self._report(ErrorCode.TIMED_OUT, "it ran past its time limit and was killed")

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> None:
        super().on_failure(exc_info, send_failed_event, return_ok)
        fault = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(fault, WorkerLostError):
            self._report(
                ErrorCode.FAILED,
                f"the process that ran it died: {_JOB_NUMBER.sub('', str(fault))}",
                worker_lost=True,
            )

    def _tell_running(self) -> None:
        if self in active_requests:
            # First the ends that were gathered: `Running` is about the next task.
            if isinstance(self.task, Batch):
                self._look()
            self._channel.tell(self.reply_to, Running(self.id, self.hostname))

    def _look(self) -> None:
        loop = get_event_loop()
        if self in active_requests and loop is not None:
            if self.worker_pid is not None:
                self._channel.tell_gathered_by(int(self.worker_pid))
            loop.call_later(LOOK_INTERVAL, self._look)

    def _report(self, code: ErrorCode, message: str, *, worker_lost: bool = False) -> None:
        # Not by `time_start`: that is wall time, and the clock may have jumped since.
        ran_ms = 0.0 if self._began is None else 1e3 * (time.monotonic() - self._began)
        if is_stream(self.reply_to):
            # First the ends that were gathered: the node blames the first task without an end.
            if self.worker_pid is not None:
                self._channel.post_gathered_by(int(self.worker_pid))
            report = Failed(self.id, code, message, ran_ms, killed=True, worker_lost=worker_lost)
            self._channel.send(self.reply_to, report)

    @property
    def _channel(self) -> ReportChannel:
        assert isinstance(self.task, Execution | Batch)
        return self.task.channel


class Execution(celery.Task):  # type: ignore[type-arg]
    """A registered task as a Celery task.

    For a node, whose stream is in `reply_to`, it reports how the task ended, and returns nothing. For any
    other Celery client it returns the value or raises.
    """

    Request = "fog_tasks.running.execution:ReportingRequest"
    throws = (TaskEnded, BadArguments, BadResult, NotRetried)
    abstract = True

    def __init__(
        self,
        definition: Runnable,
        channel: ReportChannel,
        output: TaskOutput,
        cpu: float | None = None,
        stopping: Stopping | None = None,
    ) -> None:
        self.definition = definition
        self.name = definition.name
        # For other clients than a node, which sends the limits with each task. Celery respects fractions of a
        # second, though its annotations say int.
        self.soft_time_limit = definition.timeout  # type: ignore[assignment]
        self.time_limit = definition.timeout + HARD_LIMIT_GRACE  # type: ignore[assignment]
        self.channel = channel
        self.output = output
        self.cpu = cpu
        self.stopping = stopping

    def run(self, *arguments: Any, **named: Any) -> Any:
        """Run the task with arguments as JSON has them."""
        stream, ticket = self.request.reply_to, self.request.id
        if not is_stream(stream):
            with self.output.of(self.name, ()):
                return msgspec.json.decode(self.definition.run(arguments, named))
        assert stream is not None
        assert ticket is not None
        channel, sender = self.channel, self.request.get(SENDER, ())
        member = Member(ticket, 0, str(self.request.hostname), stream, channel, channel.post, self.stopping)
        try:
            within = limits(None, self.definition.cpu, self.cpu)
            with self.output.of(self.name, sender):
                fault = perform(self.definition, arguments, named, member, within)
        except SoftTimeLimitExceeded as late:
            # The limit came before the task began; perform reports it in all other cases.
            fault = late
            self.channel.post(stream, _failure(member, late, 0.0))
        _confirm(self.channel)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            raise TaskEnded(explain(fault)[1]) from fault
        return None


class Batch(celery.Task):  # type: ignore[type-arg]
    """Several short tasks of one message, run one after the other.

    Each has its own time limit, and one that fails does not end the others. Tasks that end within the same
    millisecond are reported together.
    """

    Request = "fog_tasks.running.execution:ReportingRequest"
    abstract = True
    name = BATCH

    def __init__(
        self,
        registry: Registry,
        channel: ReportChannel,
        output: TaskOutput,
        cpu: float | None = None,
        stopping: Stopping | None = None,
    ) -> None:
        self.registry = registry
        self.channel = channel
        self.output = output
        self.cpu = cpu
        self.stopping = stopping

    def run(self, items: Sequence[BatchItem]) -> None:
        """Run the tasks."""
        stream, ticket = self.request.reply_to, self.request.id
        assert stream is not None
        assert ticket is not None
        worker = str(self.request.hostname)
        # Asked when it begins: the batch may have waited long in its queue.
        withdrawn, asked = self.channel.withdrawn(ticket), time.monotonic()
        self.channel.flush()
        for index, (name, arguments, named, timeout, sender) in enumerate(items):
            if time.monotonic() - asked > ASK_INTERVAL:
                withdrawn, asked = self.channel.withdrawn(ticket), time.monotonic()
            # The node has answered for it already.
            if index in withdrawn:
                continue
            tell = self.channel.gather
            member = Member(ticket, index, worker, stream, self.channel, tell, self.stopping)
            definition = self.registry.runnable(name)
            if definition is None:
                self.channel.post(stream, unknown_task(ticket, name, worker, index=index))
                continue
            within = limits(timeout, definition.cpu, self.cpu)
            with self.output.of(name, sender):
                perform(definition, arguments, named, member, within)
        # The message is acknowledged when this returns: then all its reports must be stored.
        self.channel.confirm()


def perform(
    definition: Runnable,
    arguments: Sequence[Any],
    named: Mapping[str, Any],
    member: Member,
    limit: AbstractContextManager[None],
) -> BaseException | None:
    """Run one task and report how it ended; return what it raised, even SystemExit."""
    began = time.perf_counter()
    fault: BaseException | None = None
    try:
        percentages = _percentages(member)
        with limit, reporting(percentages):
            value = definition.run(arguments, named)
        last: Report = Done(member.ticket, value, _elapsed_ms(began), member.index)
    except BaseException as raised:  # noqa: BLE001  # it is told to the device, and returned
        if member.stopping is not None:
            member.stopping.die_if_told()
        fault = raised
        last = _failure(member, raised, _elapsed_ms(began))
    try:
        member.tell(member.stream, last)
    except SoftTimeLimitExceeded:
        # The task had ended; the limit has interrupted the report, half of which may be written.
        member.channel.disconnect()
        member.tell(member.stream, last)
    return fault


def unknown_task(ticket: str, name: str, worker: str | None, *, index: int = 0) -> Failed:
    """The report of a worker that does not have the task."""
    sentence = f"worker {worker} has no task named {name!r}; start it with the node's --tasks"
    return Failed(ticket, ErrorCode.UNKNOWN_TASK, sentence, 0.0, index)


def _confirm(channel: ReportChannel) -> None:
    try:
        channel.confirm()
    except SoftTimeLimitExceeded:
        channel.disconnect()
        channel.confirm()


def _failure(member: Member, fault: BaseException, ran_ms: float) -> Failed:
    code, message = explain(fault)
    return Failed(member.ticket, code, message, ran_ms, member.index)


def _elapsed_ms(began: float) -> float:
    return 1e3 * (time.perf_counter() - began)


def _percentages(member: Member) -> Callable[[float], None]:
    send = partial(member.channel.mention, member.stream)
    last = 0.0

    def report(percent: float) -> None:
        nonlocal last
        now = time.monotonic()
        # A loop that reports at each turn must not fill Redis; its last step is always told.
        if percent >= 100 or now - last >= PROGRESS_INTERVAL:
            if not last:
                send(Running(member.ticket, member.worker))
            last = now
            send(Advanced(member.ticket, percent, member.index))

    return report
