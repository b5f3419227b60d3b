"""A task's way through the node: intake, journal, placement, execution or hand-off, journal, reply."""

import asyncio
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from broker.engine import Message
from broker.errors import BadPayload, BadTopic, OutboxFull
from broker.messages import ErrorCode, Outcome, Progress, Report, Stage, TaskError, Wait, encode
from broker.topics import (
    CancelTopic,
    MeshAskTopic,
    MeshCancelTopic,
    MeshResultTopic,
    MeshTaskTopic,
    MeshWaitTopic,
    TaskTopic,
    parse,
)
from fog_node.books import Bookkeeper
from fog_node.endings import Endings
from fog_node.executor import Executor
from fog_node.handoff import Peer
from fog_node.intake import Intake, Refused
from fog_node.job import Job
from fog_node.journal import Journal
from fog_node.neighbourhood import Neighbourhood
from fog_node.open_jobs import OpenJobs
from fog_node.outcomes import (
    local_outcome,
    outcome_message,
    progress_message,
    refusal_message,
    refused,
    returned_outcome,
    sender_of,
)
from fog_node.placement import Decision, Place, Policy
from fog_node.placer import Asking, Placer
from fog_node.rate import DeviceLimits
from fog_node.replies import Replies
from fog_node.salvage import OnReport
from fog_node.scatter import Scatter, Ways
from fog_node.surroundings import Surroundings
from tasks.registry import Registry
from tasks.reports import Advanced, Done, Failed, JobReport, Running

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a node that a task meets on its way."""

    intake: Intake
    journal: Journal
    replies: Replies
    books: Bookkeeper
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


@dataclass(slots=True)
class _Storing:
    """A job on its way into the journal; the steps it makes meanwhile are told once it is there.

    As many as it makes in that time, the few milliseconds of a commit. `decision` is None while neighbours
    are asked.
    """

    acknowledged: asyncio.Future[None]
    decision: Decision | None
    early: list[Progress] = field(default_factory=list)


class Dispatcher:
    """Takes messages in and sees each job to its one outcome."""

    def __init__(self, node: str, parts: Parts, places: Places, bounds: Bounds) -> None:
        self._node = node
        self._intake = parts.intake
        self._journal = parts.journal
        self._replies = parts.replies
        self._registry = parts.registry
        self.executor = places.executor(self.report)
        self.cloud = places.cloud
        self.neighbourhood = places.neighbourhood
        self.placer = Placer(
            places.policy,
            executor=self.executor,
            registry=parts.registry,
            known=places.known,
            neighbourhood=places.neighbourhood,
            cloud=places.cloud,
        )
        if self.cloud is not None:
            self.attach(self.cloud)
        self._jobs = OpenJobs(parts.books, bounds.of_a_device, most=bounds.backlog)
        self._endings = Endings(parts.journal, self._jobs, parts.replies)
        self._storing: dict[int, _Storing] = {}
        self._scatter = Scatter(
            node,
            parts.registry,
            self.placer,
            Ways(
                execute=self.executor.submit,
                place=self._send_to,
                recall=self._recall,
                advanced=self._tell_running,
                end=self._endings.end,
            ),
        )

    def attach(self, peer: Peer) -> None:
        """Hear what becomes of the jobs that are handed to another node."""
        peer.on_report = self.report_from_peer
        peer.on_expired = self.expire
        peer.on_lost = self.place_anew

    def recover(self) -> int:
        """Place the jobs that an earlier life left open; return how many there were."""
        jobs = list(self._journal.open_jobs())
        for job in jobs:
            self._jobs.add(job)
            if job.task in self._registry:
                self._place(job)
            else:
                self._fail(job, ErrorCode.UNKNOWN_TASK, f"task {job.task!r} is not loaded any more")
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
                return self._cancel(self._jobs.get(("", topic.device, topic.id)))
            case MeshCancelTopic():
                return self._cancel(self._jobs.handed_over(str(MeshResultTopic(topic.origin, topic.key))))
            case MeshAskTopic():
                self._answer(topic)
            case _:
                log.warning("message_not_for_us", topic=message.topic)
        return None

    def report(self, job: Job, report: JobReport) -> None:
        """Hear what became of a job at this node's workers."""
        now = time.monotonic()
        match report:
            case Running():
                self._tell_running(job)
            case Advanced(percent=percent):
                self._tell_running(job, percent)
            case Done(value=value, ran_ms=ran_ms):
                self.placer.ran_here(job, ran_ms / 1e3)
                self._end(job, local_outcome(job, node=self._node, now=now, ran_ms=ran_ms, value=value))
            case Failed(code=code, message=message, ran_ms=ran_ms):
                error = TaskError(code, message)
                if report.worker_lost and not job.part:
                    self._endings.bury(job, message)
                self._end(job, local_outcome(job, node=self._node, now=now, ran_ms=ran_ms, error=error))

    def report_from_peer(self, job: Job, report: Report) -> asyncio.Future[None] | None:
        """Hear what became of a job at another node; the future is done when an outcome is durable."""
        step = report.progress
        # That the other node has accepted it is between the nodes: the device was told by this one.
        if step is not None and step.stage is not Stage.ACCEPTED:
            self._tell_progress(job, step.stage, node=step.node, percent=step.percent)
        if report.outcome is None:
            return None
        self.placer.reported(job, report)
        outcome = returned_outcome(job, report.outcome, node=self._node, now=time.monotonic())
        return self._end(job, outcome)

    def expire(self, job: Job) -> None:
        """End a job whose deadline passed on its way to another node."""
        self._fail(job, ErrorCode.EXPIRED, "its deadline passed before another node could be reached")

    def place_anew(self, job: Job) -> None:
        """Find another place for a job of which another node says nothing any more; without one, ask on."""
        if job.ended:
            return
        decision = self.placer.decide_now(job, without_cloud=True)
        self._send_to(job, decision if decision.chosen is not None else self.placer.decide_now(job))

    async def settle(self) -> None:
        """Return once every outcome that is known is durable and on its way."""
        await self._endings.settle()

    @property
    def open(self) -> int:
        """How many jobs have no outcome yet."""
        return len(self._jobs)

    def _take(self, read: Callable[..., Job], message: Message) -> asyncio.Future[None] | None:
        try:
            job = read(message, key=self._journal.next_key(), now=time.monotonic())
            known = self._known(job)
            if known is not None:
                return known
            self._check_room(job)
            decision = self.placer.decide(job)
            if isinstance(decision, Decision):
                self._check_place(job, decision)
        except Refused as refusal:
            self._refuse(refusal)
            return None
        except (BadTopic, BadPayload) as fault:
            log.warning("hand_off_unreadable", topic=message.topic, reason=str(fault))
            return None
        return self._accept(job, decision)

    def _check_room(self, job: Job) -> None:
        too_much = self._jobs.too_much(job)
        if too_much is not None:
            raise refused(job, ErrorCode.RATE_LIMITED, too_much)
        if self._jobs.full:
            text = f"{len(self._jobs)} tasks are open here, as many as may be; send it again later"
            raise refused(job, ErrorCode.OVERLOADED, text)

    def _check_place(self, job: Job, decision: Decision) -> None:
        if decision.place is Place.NOWHERE:
            raise refused(job, ErrorCode.UNROUTABLE, _nowhere(job))
        if decision.place is Place.CLOUD and self.cloud is not None and self.cloud.full:
            text = "as much waits for the cloud as may; send it again later"
            raise refused(job, ErrorCode.OVERLOADED, text)

    def _known(self, job: Job) -> asyncio.Future[None] | None:
        """The acknowledgement of a task that came before; its sender is told again what there is to tell."""
        earlier = self._jobs.get(job.identity)
        if earlier is not None:
            self._tell_progress(earlier, Stage.ACCEPTED)
            storing = self._storing.get(earlier.key)
            return _done() if storing is None else storing.acknowledged
        remembered = self._journal.find(job.identity)
        if remembered is None:
            return None
        self._replies.send(outcome_message(sender_of(job), remembered.outcome))
        return _done()

    def _accept(self, job: Job, found: Decision | Asking) -> asyncio.Future[None]:
        """Store a job; its sender's acknowledgement waits for that.

        Where its place depends on neighbours' answers, they are asked meanwhile. What runs here is on its way
        to a worker meanwhile. Its outcome is written after it by the same writer, so that nothing is known
        of it before it is stored itself.
        """
        self._jobs.add(job)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._storing[job.key] = _Storing(acknowledged, None)
        if isinstance(found, Decision):
            self._decided(job, found)
        else:
            found.answered.add_done_callback(lambda _: self._answered(job, found))
        self._journal.accept(job).add_done_callback(functools.partial(self._stored, job))
        return acknowledged

    def _answered(self, job: Job, asking: Asking) -> None:
        if not job.ended:
            self._decided(job, self.placer.decide_now(job, probed=asking.nodes))

    def _decided(self, job: Job, decision: Decision) -> None:
        """Carry out a decision: at once where the job is to run here, else once it is stored."""
        storing = self._storing.get(job.key)
        if storing is None:
            self._send_to(job, decision)
            return
        storing.decision = decision
        if self._starts_at_once(job, decision):
            self.executor.submit(job)

    def _stored(self, job: Job, stored: asyncio.Future[None]) -> None:
        storing = self._storing.pop(job.key)
        acknowledged = storing.acknowledged
        if stored.cancelled():
            acknowledged.cancel()
            return
        fault = stored.exception()
        if fault is None:
            self._tell_progress(job, Stage.ACCEPTED)
            for step in storing.early:
                self._tell(job, step)
            decision = storing.decision
            if decision is not None and not self._starts_at_once(job, decision) and not job.ended:
                self._send_to(job, decision)
        else:
            self._withdraw(job, str(fault))
        if not acknowledged.done():
            acknowledged.set_result(None)

    def _starts_at_once(self, job: Job, decision: Decision) -> bool:
        """Whether a job is given to the workers before it is stored."""
        return decision.place is Place.HERE and not self._scatter.can_take(job)

    def _withdraw(self, job: Job, reason: str) -> None:
        """Take back a job that could not be stored: it was not accepted, and its sender is told so."""
        job.ended = True
        self._recall(job)
        self._jobs.withdraw(job)
        self._replies.send(refusal_message(refused(job, ErrorCode.OVERLOADED, reason), node=self._node))

    def _recall(self, job: Job) -> None:
        self._scatter.withdraw(job)
        self.executor.withdraw(job)
        if self.cloud is not None:
            self.cloud.withdraw(job)
        for peer in self.neighbourhood.peers():
            peer.withdraw(job)

    def _place(self, job: Job) -> None:
        self._send_to(job, self.placer.decide_now(job))

    def _send_to(self, job: Job, decision: Decision) -> None:
        if decision.place in {Place.HERE, Place.NEIGHBOUR} and self._scatter.take(job):
            self._tell_running(job)
            return
        match decision.place:
            case Place.HERE:
                self.placer.placed(job, decision)
                self.executor.submit(job)
            case Place.NEIGHBOUR:
                self._hand_off(job, decision, self.neighbourhood.peer(decision.node))
            case Place.CLOUD:
                self._hand_off(job, decision, self.cloud)
            case Place.NOWHERE:
                self._fail(job, ErrorCode.UNROUTABLE, _nowhere(job))

    def _hand_off(self, job: Job, decision: Decision, peer: Peer | None) -> None:
        if peer is None:
            # The neighbour was dropped while the job was stored.
            self.place_anew(job)
            return
        try:
            peer.submit(job)
        except OutboxFull as fault:
            self._fail(job, ErrorCode.OVERLOADED, str(fault))
        else:
            # Not before it waits to leave: an answer that cannot know of it must not make it forgotten.
            self.placer.placed(job, decision)
            self._tell_progress(job, Stage.PLACED, node=peer.address)

    def _cancel(self, job: Job | None) -> asyncio.Future[None] | None:
        if job is None or job.ended:
            return None
        self._recall(job)
        return self._fail(job, ErrorCode.CANCELLED, "it was cancelled")

    def _refuse(self, refusal: Refused) -> None:
        self._jobs.refuse(refusal.sender.owner)
        log.info("task_refused", code=refusal.code, reason=str(refusal), device=refusal.sender.device)
        self._replies.send(refusal_message(refusal, node=self._node))

    def _fail(self, job: Job, code: ErrorCode, message: str) -> asyncio.Future[None]:
        error = TaskError(code, message)
        return self._end(job, local_outcome(job, node=self._node, now=time.monotonic(), error=error))

    def _end(self, job: Job, outcome: Outcome) -> asyncio.Future[None]:
        if job.part and not job.origin:
            job.ended = True
            self._scatter.ended(job, outcome)
            return _done()
        wait_ms = round(1e3 * self.placer.wait_here(job), 1) if job.origin else None
        return self._endings.end(job, outcome, wait_ms=wait_ms)

    def _answer(self, asked: MeshAskTopic) -> None:
        """Tell another node what a task would wait for here."""
        wait = Wait(wait_ms=round(1e3 * self.placer.wait_of(asked.weight, asked.task), 1))
        self._replies.send(Message(topic=str(MeshWaitTopic(asked.origin, asked.key)), payload=encode(wait)))

    def _tell_running(self, job: Job, percent: float | None = None) -> None:
        step = Progress(stage=Stage.RUNNING, id=job.id, task=job.task, node=self._node, percent=percent)
        storing = self._storing.get(job.key)
        if storing is None:
            self._tell(job, step)
        else:
            storing.early.append(step)

    def _tell_progress(
        self, job: Job, stage: Stage, *, node: str | None = None, percent: float | None = None
    ) -> None:
        step = Progress(stage=stage, id=job.id, task=job.task, node=node or self._node, percent=percent)
        self._tell(job, step)

    def _tell(self, job: Job, step: Progress) -> None:
        if job.part and not job.origin:
            return
        message = progress_message(job, step)
        if message is not None:
            self._replies.send(message)


def _nowhere(job: Job) -> str:
    return f"this node has no workers for {job.weight} tasks and no cloud to send them to"


def _done() -> asyncio.Future[None]:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done
