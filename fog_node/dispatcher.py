"""A task's way through the node: acceptance, execution here or hand-off to another, outcome."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from broker.contract.engine import Message
from broker.contract.messages import ErrorCode, Outcome, Report, Stage, TaskError, Wait, encode
from broker.contract.topics import (
    CLOUD,
    CancelTopic,
    MeshAskTopic,
    MeshCancelTopic,
    MeshResultTopic,
    MeshTaskTopic,
    MeshWaitTopic,
    TaskTopic,
    parse,
)
from broker.errors import BadTopic, OutboxFull
from fog_node.execution.executor import Executor
from fog_node.execution.recovery import OnReport
from fog_node.intake.acceptance import Acceptance, Onward
from fog_node.intake.submissions import Intake
from fog_node.jobs.books import Bookkeeper
from fog_node.jobs.job import Job
from fog_node.jobs.limits import DeviceLimits
from fog_node.jobs.open_jobs import OpenJobs
from fog_node.journal.journal import Journal
from fog_node.mesh.neighbourhood import Neighbourhood
from fog_node.mesh.peer import Peer, refused_there
from fog_node.placement import Decision, Place, Policy
from fog_node.placement.placer import Placer
from fog_node.placement.surroundings import Surroundings
from fog_node.replies.endings import Endings
from fog_node.replies.outcomes import local_outcome, returned_outcome, unroutable
from fog_node.replies.progress import ProgressTeller
from fog_node.replies.replies import Replies
from fog_node.scatter.scatter import Scatter, Ways
from fog_tasks.declaration.registry import Registry
from fog_tasks.reporting.reports import Advanced, Done, Failed, JobReport, Running

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


class Dispatcher:
    """Takes messages in, sends each job to its place, and sees it to its one outcome."""

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
        self._progress = ProgressTeller(node, parts.replies)
        self._scatter = Scatter(
            node,
            parts.registry,
            self.placer,
            Ways(
                execute=self.executor.submit,
                place=self._send_to,
                recall=self._recall,
                advanced=self._progress.running,
                end=self._endings.end,
            ),
        )
        self._acceptance = Acceptance(
            node,
            journal=parts.journal,
            jobs=self._jobs,
            placer=self.placer,
            cloud=self.cloud,
            replies=parts.replies,
            progress=self._progress,
            onward=Onward(start=self._start, send=self._send_to, recall=self._recall),
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
                self._send_to(job, self.placer.decide_now(job))
            else:
                self._fail(job, ErrorCode.UNKNOWN_TASK, f"task {job.task!r} is not loaded any more")
        return len(jobs)

    def receive(self, message: Message) -> asyncio.Future[None] | None:
        """Take in what the engine hands over; the future is done when it is durable."""
        try:
            topic = parse(message.topic)
        except BadTopic:
            # The intake says what is wrong with it, and to whom.
            return self._acceptance.take(self._intake.read_task, message)
        match topic:
            case TaskTopic():
                return self._acceptance.take(self._intake.read_task, message)
            case MeshTaskTopic():
                return self._acceptance.take(self._intake.read_hand_off, message)
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
                self._progress.running(job)
            case Advanced(percent=percent):
                self._progress.running(job, percent)
            case Done(value=value, ran_ms=ran_ms):
                self.placer.ran_here(job, ran_ms / 1e3)
                self._end(job, local_outcome(job, node=self._node, now=now, ran_ms=ran_ms, value=value))
            case Failed(code=code, message=message, ran_ms=ran_ms):
                error = TaskError(code, message)
                if report.worker_lost and not job.part:
                    self._endings.keep_dead(job, message)
                self._end(job, local_outcome(job, node=self._node, now=now, ran_ms=ran_ms, error=error))

    def report_from_peer(self, job: Job, report: Report) -> asyncio.Future[None] | None:
        """Hear what became of a job at another node; the future is done when an outcome is durable."""
        step = report.progress
        # That the other node has accepted it is between the nodes: the device was told by this one.
        if step is not None and step.stage is not Stage.ACCEPTED:
            self._progress.tell(job, step.stage, node=step.node, percent=step.percent)
        if report.outcome is None:
            return None
        if refused_there(report.outcome) and self._place_elsewhere(job):
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

    def _place_elsewhere(self, job: Job) -> bool:
        """Find a place for a job that another node has refused; False if there is none left."""
        if job.ended:
            return False
        decision = self.placer.decide_now(job, without_cloud=CLOUD in job.avoided)
        if decision.chosen is None:
            return False
        self._send_to(job, decision)
        return True

    async def settle(self) -> None:
        """Return once every outcome that is known is durable and on its way."""
        await self._endings.settle()

    @property
    def open(self) -> int:
        """How many jobs have no outcome yet."""
        return len(self._jobs)

    def _recall(self, job: Job) -> None:
        self._scatter.withdraw(job)
        self.executor.withdraw(job)
        if self.cloud is not None:
            self.cloud.withdraw(job)
        for peer in self.neighbourhood.peers():
            peer.withdraw(job)

    def _start(self, job: Job, decision: Decision) -> bool:
        """Give a job to the workers before it is stored, if it is to run here in one piece."""
        if decision.place is not Place.HERE or self._scatter.can_take(job):
            return False
        self.placer.placed(job, decision)
        self.executor.submit(job)
        return True

    def _send_to(self, job: Job, decision: Decision) -> None:
        if decision.place in {Place.HERE, Place.NEIGHBOUR} and self._scatter.take(job):
            self._progress.running(job)
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
                self._fail(job, ErrorCode.UNROUTABLE, unroutable(job))

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
            self._progress.tell(job, Stage.PLACED, node=peer.address)

    def _cancel(self, job: Job | None) -> asyncio.Future[None] | None:
        if job is None or job.ended:
            return None
        self._recall(job)
        return self._fail(job, ErrorCode.CANCELLED, "it was cancelled")

    def _fail(self, job: Job, code: ErrorCode, message: str) -> asyncio.Future[None] | None:
        error = TaskError(code, message)
        return self._end(job, local_outcome(job, node=self._node, now=time.monotonic(), error=error))

    def _end(self, job: Job, outcome: Outcome) -> asyncio.Future[None] | None:
        if job.part and not job.origin:
            job.ended = True
            self._scatter.ended(job, outcome)
            return None
        wait_ms = round(1e3 * self.placer.wait_here(job), 1) if job.origin else None
        return self._endings.end(job, outcome, wait_ms=wait_ms)

    def _answer(self, asked: MeshAskTopic) -> None:
        """Tell another node what a task would wait for here."""
        wait = Wait(wait_ms=round(1e3 * self.placer.wait_of(asked.weight), 1))
        self._replies.send(Message(topic=str(MeshWaitTopic(asked.origin, asked.key)), payload=encode(wait)))
