"""A task's way through the node: intake, journal, placement, execution or hand-off, journal, reply."""

import asyncio
import functools
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from broker.engine import Message
from broker.errors import BadPayload, BadTopic, OutboxFull
from broker.messages import ErrorCode, Outcome, Progress, Report, Stage, TaskError
from broker.topics import (
    CLOUD,
    CancelTopic,
    MeshCancelTopic,
    MeshResultTopic,
    MeshTaskTopic,
    TaskTopic,
    parse,
)
from fog_node.books import Bookkeeper, end_of
from fog_node.estimates import expected_wait
from fog_node.executor import Executor, JobReport, OnReport
from fog_node.handoff import Peer
from fog_node.intake import Intake, Refused
from fog_node.job import End, Job
from fog_node.journal import Journal
from fog_node.neighbourhood import Neighbourhood
from fog_node.outcomes import (
    encode_outcome,
    local_outcome,
    outcome_message,
    progress_message,
    refusal_message,
    refused,
    returned_outcome,
    sender_of,
)
from fog_node.placement import Decision, Place, Policy, Probe, Situation, Work
from fog_node.placement.original import backlog
from fog_node.rate import DeviceLimits
from fog_node.replies import Replies
from fog_node.surroundings import Local, Surroundings
from fog_node.typical import TypicalTimes
from tasks.registry import Registry
from tasks.reports import Advanced, Done, Failed, Running

log = structlog.get_logger()

DEFAULT_HOPS = 2
"""Neighbours that a task is handed on to at most, unless it says itself how many."""

NEVER = 3600.0
"""The wait, in seconds, that a node tells which has no workers for a weight; infinity is no JSON."""

FINISH_RETRY = 1.0
"""Seconds before the journal is asked again to take an outcome that it could not write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a node that a task meets on its way."""

    intake: Intake
    journal: Journal
    replies: Replies
    books: Bookkeeper
    typical: TypicalTimes
    registry: Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where jobs can run, and the policy that chooses; the executor is built with whom it reports to."""

    policy: Policy
    executor: Callable[[OnReport], Executor]
    cloud: Peer | None
    known: Surroundings
    neighbourhood: Neighbourhood


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many jobs may be open at once in all, and how many one device may have and submit."""

    backlog: int
    of_a_device: DeviceLimits


class Dispatcher:
    """Takes messages in and sees each job to its one outcome."""

    def __init__(self, node: str, parts: Parts, places: Places, bounds: Bounds) -> None:
        self._node = node
        self._intake = parts.intake
        self._journal = parts.journal
        self._replies = parts.replies
        self._books = parts.books
        self._typical = parts.typical
        self._policy = places.policy
        self.executor = places.executor(self.report)
        self.cloud = places.cloud
        self._known_places = places.known
        self._registry = parts.registry
        self.neighbourhood = places.neighbourhood
        self._chance = random.Random()  # noqa: S311
        if self.cloud is not None:
            self.attach(self.cloud)
        self._bounds = bounds
        self._limits = bounds.of_a_device
        self._open: dict[tuple[str, str, str], Job] = {}
        self._storing: dict[int, asyncio.Future[None]] = {}
        self._ending: set[asyncio.Future[None]] = set()

    def attach(self, peer: Peer) -> None:
        """Hear what becomes of the jobs that are handed to another node."""
        peer.on_report = self.report_from_peer
        peer.on_expired = self.expire
        peer.on_lost = self.place_anew

    def recover(self) -> int:
        """Place the jobs that an earlier life left open; return how many there were."""
        jobs = list(self._journal.open_jobs())
        for job in jobs:
            self._open[job.identity] = job
            self._books.opened(job.owner)
            self._limits.opened(job)
            self._place(job)
        return len(jobs)

    def receive(self, message: Message) -> asyncio.Future[None] | None:
        """Take in what the engine hands over; the future is done when it is durable."""
        try:
            topic = parse(message.topic)
        except BadTopic:
            # The intake says what is wrong with it, and to whom.
            return self._take(self._intake.read_task, message)
        match topic:
            case TaskTopic():
                return self._take(self._intake.read_task, message)
            case MeshTaskTopic():
                return self._take(self._intake.read_hand_off, message)
            case CancelTopic():
                return self._cancel(self._open.get(("", topic.device, topic.id)))
            case MeshCancelTopic():
                return self._cancel(self._handed_over(topic))
            case _:
                log.warning("message_not_for_us", topic=message.topic)
                return None

    def report(self, job: Job, report: JobReport) -> None:
        """Hear what became of a job at this node's workers."""
        now = time.monotonic()
        match report:
            case Running():
                # It may have started before it was stored; the device hears first that it was accepted.
                job.started = True
                if job.key not in self._storing:
                    self._tell_progress(job, Stage.RUNNING)
            case Advanced(percent=percent) if job.key not in self._storing:
                self._tell_progress(job, Stage.RUNNING, percent=percent)
            case Advanced():
                pass
            case Done(value=value, ran_ms=ran_ms):
                self._typical.observe(job.task, ran_ms)
                self._known_places.estimates.observe(job.weight, job.task, ran_ms / 1e3)
                self._end(job, local_outcome(job, node=self._node, now=now, ran_ms=ran_ms, value=value))
            case Failed(code=code, message=message, ran_ms=ran_ms):
                error = TaskError(code, message)
                if report.worker_lost:
                    self._bury(job, message)
                self._end(job, local_outcome(job, node=self._node, now=now, ran_ms=ran_ms, error=error))

    def report_from_peer(self, job: Job, report: Report) -> asyncio.Future[None] | None:
        """Hear what became of a job at another node; the future is done when an outcome is durable."""
        step = report.progress
        # That the other node has accepted it is between the nodes: the device was told by this one.
        if step is not None and step.stage is not Stage.ACCEPTED:
            self._tell_progress(job, step.stage, node=step.node, percent=step.percent)
        if report.outcome is None:
            return None
        if report.wait_ms is not None:
            told = self._place_of(report.outcome), job.weight, report.wait_ms / 1e3
            self._known_places.board.told(*told, time.monotonic())
        if report.outcome.ok:
            place = self._place_of(report.outcome)
            seconds = report.outcome.ran_ms / 1e3
            self._known_places.estimates.observe(job.weight, job.task, seconds, place=place)
        outcome = returned_outcome(job, report.outcome, node=self._node, now=time.monotonic())
        return self._end(job, outcome)

    def expire(self, job: Job) -> None:
        """End a job whose deadline passed on its way to another node."""
        self._fail(job, ErrorCode.EXPIRED, "its deadline passed before another node could be reached")

    def place_anew(self, job: Job) -> None:
        """Find another place for a job of which another node says nothing any more; without one, ask on."""
        if job.ended:
            return
        decision = self._decide(job, without_cloud=True)
        self._send_to(job, decision if decision.chosen is not None else self._decide(job))

    async def settle(self) -> None:
        """Return once every outcome that is known is durable and on its way."""
        while self._ending:
            await asyncio.wait(self._ending)

    @property
    def open(self) -> int:
        """How many jobs have no outcome yet."""
        return len(self._open)

    def _take(self, read: Callable[..., Job], message: Message) -> asyncio.Future[None] | None:
        try:
            job = read(message, key=self._journal.next_key(), now=time.monotonic())
            known = self._known(job)
            if known is not None:
                return known
            self._check_room(job)
            place = self._decide(job)
            self._check_place(job, place)
        except Refused as refusal:
            self._refuse(refusal)
            return None
        except (BadTopic, BadPayload) as fault:
            log.warning("hand_off_unreadable", topic=message.topic, reason=str(fault))
            return None
        return self._accept(job, place)

    def _check_room(self, job: Job) -> None:
        too_much = self._limits.refusal(job, job.received)
        if too_much is not None:
            raise refused(job, ErrorCode.RATE_LIMITED, too_much)
        if len(self._open) >= self._bounds.backlog:
            text = f"{len(self._open)} tasks are open here, as many as may be; send it again later"
            raise refused(job, ErrorCode.OVERLOADED, text)

    def _check_place(self, job: Job, decision: Decision) -> None:
        if decision.place is Place.NOWHERE:
            raise refused(job, ErrorCode.UNROUTABLE, _nowhere(job))
        if decision.place is Place.CLOUD and self.cloud is not None and self.cloud.full:
            text = "as much waits for the cloud as may; send it again later"
            raise refused(job, ErrorCode.OVERLOADED, text)

    def _known(self, job: Job) -> asyncio.Future[None] | None:
        """The acknowledgement of a task that came before; its sender is told again what there is to tell."""
        earlier = self._open.get(job.identity)
        if earlier is not None:
            self._tell_progress(earlier, Stage.ACCEPTED)
            return self._storing.get(earlier.key, _done())
        remembered = self._journal.find(job.identity)
        if remembered is None:
            return None
        self._replies.send(outcome_message(sender_of(job), remembered.outcome))
        return _done()

    def _accept(self, job: Job, decision: Decision) -> asyncio.Future[None]:
        """Store a job; its sender's acknowledgement waits for that.

        What runs here is on its way to a worker meanwhile. Its outcome is written after it by the same
        writer, so that nothing is known of it before it is stored itself.
        """
        self._open[job.identity] = job
        self._books.opened(job.owner)
        self._limits.opened(job)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._storing[job.key] = acknowledged
        if decision.place is Place.HERE:
            self.executor.submit(job)
        self._journal.accept(job).add_done_callback(functools.partial(self._stored, job, decision))
        return acknowledged

    def _stored(self, job: Job, decision: Decision, stored: asyncio.Future[None]) -> None:
        acknowledged = self._storing.pop(job.key)
        if stored.cancelled():
            acknowledged.cancel()
            return
        fault = stored.exception()
        if fault is None:
            self._tell_progress(job, Stage.ACCEPTED)
            if job.started:
                self._tell_progress(job, Stage.RUNNING)
            if decision.place is not Place.HERE and not job.ended:
                self._send_to(job, decision)
        else:
            self._withdraw(job, str(fault))
        if not acknowledged.done():
            acknowledged.set_result(None)

    def _withdraw(self, job: Job, reason: str) -> None:
        """Take back a job that could not be stored: it was not accepted, and its sender is told so."""
        job.ended = True
        self._recall(job)
        del self._open[job.identity]
        self._books.withdrawn(job.owner)
        self._limits.closed(job)
        self._replies.send(refusal_message(refused(job, ErrorCode.OVERLOADED, reason), node=self._node))

    def _recall(self, job: Job) -> None:
        self.executor.withdraw(job)
        if self.cloud is not None:
            self.cloud.withdraw(job)
        for peer in self.neighbourhood.peers():
            peer.withdraw(job)

    def _handed_over(self, topic: MeshCancelTopic) -> Job | None:
        reply = str(MeshResultTopic(topic.origin, topic.key))
        return next((job for job in self._open.values() if job.reply == reply), None)

    def _place(self, job: Job) -> None:
        self._send_to(job, self._decide(job))

    def _decide(self, job: Job, *, without_cloud: bool = False) -> Decision:
        """Ask the policy for a place. A policy that wants to ask neighbours first is given the board."""
        now, known = time.monotonic(), self._known_places
        known.linked = self.neighbourhood.linked()
        known.cloud_linked = self.cloud is not None and self.cloud.reachable and not without_cloud
        limit = DEFAULT_HOPS if job.max_hops is None else job.max_hops
        work = Work(
            weight=job.weight,
            task=job.task,
            size=len(job.payload),
            budget=job.remaining(now),
            hops_left=max(0, limit - len(job.route)),
            visited=job.route,
        )
        timeout = self._timeout(job)
        local = self._local(job, timeout)
        situation = known.situation(work, local, now, timeout=timeout)
        found = self._ask_policy(work, situation)
        if found.chosen is None and situation.cloud is not None and not without_cloud:
            # Only the cloud has workers for it, and is away: it waits for the cloud in the outbox.
            waits = replace(situation.cloud, alive=True)
            found = Decision(waits, "waits for the cloud, the only place that can run it", situation)
        log.debug("placed", task=job.task, weight=job.weight, at=found.node, why=found.why)
        return found

    def _ask_policy(self, work: Work, situation: Situation) -> Decision:
        found = self._policy(work, situation, self._chance)
        if isinstance(found, Probe):
            found = self._policy(work, replace(situation, probed=found.nodes), self._chance)
        if isinstance(found, Probe):
            return Decision(None, "the policy asks again and again", situation)
        return found

    def _timeout(self, job: Job) -> float:
        task = self._registry.get(job.task)
        # A job of an earlier life may be of a task that is not loaded any more.
        return math.inf if task is None else task.timeout

    def _own_wait(self, job: Job) -> float:
        wait = self._local(job, self._timeout(job)).wait
        return min(wait, NEVER)

    def _local(self, job: Job, timeout: float) -> Local:
        load = self.executor.load().get(job.weight)
        if load is None:
            return Local(slots=0, wait=0.0)
        # Workers that are about to start again count: what waits for them is not to be refused.
        slots = max(load.slots, self.executor.slots().get(job.weight, 0))
        tasks = load.queued + load.running
        run = self._known_places.estimates.of(job.weight, job.task, timeout=timeout).run
        times = self._known_places.estimates.original()
        queued = {weight: one.queued for weight, one in self.executor.load().items()}
        return Local(
            slots=slots, wait=expected_wait(tasks, tasks * run, slots), backlog=backlog(queued, times)
        )

    def _send_to(self, job: Job, decision: Decision) -> None:
        self._note_decision(job, decision)
        match decision.place:
            case Place.HERE:
                self.executor.submit(job)
            case Place.NEIGHBOUR:
                run = 0.0 if decision.chosen is None else decision.chosen.run
                self._known_places.board.sent(decision.node, job.weight, run, time.monotonic())
                self._hand_off(job, self.neighbourhood.peer(decision.node))
            case Place.CLOUD:
                self._hand_off(job, self.cloud)
            case Place.NOWHERE:
                self._fail(job, ErrorCode.UNROUTABLE, _nowhere(job))

    def _hand_off(self, job: Job, peer: Peer | None) -> None:
        assert peer is not None
        try:
            peer.submit(job)
        except OutboxFull as fault:
            self._fail(job, ErrorCode.OVERLOADED, str(fault))
        else:
            self._tell_progress(job, Stage.PLACED, node=peer.address)

    def _note_decision(self, job: Job, decision: Decision) -> None:
        if decision.chosen is not None:
            job.why, job.predicted = decision.why, decision.chosen.done

    def _place_of(self, outcome: Outcome) -> str:
        """The node that was chosen, though another may have run it; the cloud's gateways are one place."""
        handed_to = outcome.route[-1] if outcome.route else outcome.node
        return handed_to if self.neighbourhood.peer(handed_to) is not None else CLOUD

    def _cancel(self, job: Job | None) -> asyncio.Future[None] | None:
        if job is None or job.ended:
            return None
        self._recall(job)
        return self._fail(job, ErrorCode.CANCELLED, "it was cancelled")

    def _refuse(self, refusal: Refused) -> None:
        self._books.rejected(refusal.sender.owner)
        log.info("task_refused", code=refusal.code, reason=str(refusal), device=refusal.sender.device)
        self._replies.send(refusal_message(refusal, node=self._node))

    def _fail(self, job: Job, code: ErrorCode, message: str) -> asyncio.Future[None]:
        error = TaskError(code, message)
        return self._end(job, local_outcome(job, node=self._node, now=time.monotonic(), error=error))

    def _end(self, job: Job, outcome: Outcome) -> asyncio.Future[None]:
        """Write an outcome into the journal, then send it."""
        job.ended = True
        code = outcome.error.code if isinstance(outcome.error, TaskError) else None
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending.add(durable)
        durable.add_done_callback(self._ending.discard)
        wait_ms = round(1e3 * self._own_wait(job), 1) if job.origin else None
        self._finish(job, end_of(code), encode_outcome(job.origin, outcome, wait_ms=wait_ms), durable)
        return durable

    def _bury(self, job: Job, reason: str) -> None:
        def written(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and done.exception() is not None:
                log.warning("dead_letter_not_kept", job=job.key, reason=str(done.exception()))

        log.warning("dead_letter", job=job.key, task=job.task, device=job.owner, reason=reason)
        self._journal.bury(job, reason).add_done_callback(written)

    def _finish(self, job: Job, end: End, outcome: bytes, durable: asyncio.Future[None]) -> None:
        def written(stored: asyncio.Future[None]) -> None:
            if stored.cancelled():
                durable.cancel()
            elif stored.exception() is not None:
                # The job stays open, and its outcome here, until the journal can be written again.
                loop = asyncio.get_running_loop()
                loop.call_later(FINISH_RETRY, self._finish, job, end, outcome, durable)
            else:
                self._close(job, end, outcome)
                durable.set_result(None)

        self._journal.finish(job, end, outcome).add_done_callback(written)

    def _close(self, job: Job, end: End, outcome: bytes) -> None:
        # Unless it was withdrawn meanwhile, since it could not be stored itself.
        if self._open.get(job.identity) is job:
            del self._open[job.identity]
            self._books.ended(job.owner, end)
            self._limits.closed(job)
            self._replies.send(outcome_message(sender_of(job), outcome))

    def _tell_progress(
        self, job: Job, stage: Stage, *, node: str | None = None, percent: float | None = None
    ) -> None:
        step = Progress(stage=stage, id=job.id, task=job.task, node=node or self._node, percent=percent)
        message = progress_message(job, step)
        if message is not None:
            self._replies.send(message)


def _nowhere(job: Job) -> str:
    return f"this node has no workers for {job.weight} tasks and no cloud to send them to"


def _done() -> asyncio.Future[None]:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done
