"""How a task that comes in becomes a job of the node: read, checked, stored and acknowledged, or refused."""

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from broker.contract.message import Message
from broker.contract.messages import ErrorCode, Stage, TaskError
from broker.contract.refusal import Refusal
from broker.contract.topics import Weight
from broker.errors import BadPayload, BadTopic
from fog_node.jobs.job import Job
from fog_node.jobs.open_jobs import OpenJobs
from fog_node.jobs.refusal import Refused, refused, sender_of, told_at_once
from fog_node.journal.journal import PATIENCE, Journal
from fog_node.placement.placer import Asking, Placer
from fog_node.placement.policies.situation import Decision, Place
from fog_node.replies.outcomes import refusal_outcome, unroutable
from fog_node.replies.progress import ProgressTeller
from fog_node.replies.replies import Replies
from fog_node.routing.router import Router
from fog_node.rules.rulebook import Rulebook

log = structlog.get_logger()

_Acknowledged = asyncio.Future[Refusal | None]
"""An acknowledgement that is not due yet."""


class Neighbours(Protocol):
    """The neighbours, which can be asked."""

    def ask(
        self, nodes: Sequence[str], weight: Weight, task: str, seconds: float
    ) -> asyncio.Future[None] | None:
        """Ask what a task would wait for there; None where none of them can be asked."""


class Cloud(Protocol):
    """The cloud, of which it matters here whether it takes more."""

    @property
    def full(self) -> bool:
        """Whether no further job is taken at present."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Neighbours that are being asked; `answered` is done when they have answered, or had time enough."""

    nodes: tuple[str, ...]
    answered: asyncio.Future[None]


@dataclass(slots=True)
class _Storing:
    """A job that is being written to the journal; `decision` says where it goes once it is written.

    The decision is None while neighbours are asked, and for a job that is `running` already.
    """

    acknowledged: _Acknowledged
    decision: Decision | None = None
    running: bool = False


class Acceptance:
    """Makes jobs of tasks: one of each, however often it is sent, and only within the limits.

    What has no place to run, or finds no room, is refused with a reason.
    """

    def __init__(
        self,
        node: str,
        *,
        journal: Journal,
        jobs: OpenJobs,
        placer: Placer,
        router: Router,
        neighbours: Neighbours,
        cloud: Cloud | None,
        replies: Replies,
        progress: ProgressTeller,
        rulebook: Rulebook,
    ) -> None:
        self._node = node
        self._rulebook = rulebook
        self._journal = journal
        self._jobs = jobs
        self._placer = placer
        self._cloud = cloud
        self._replies = replies
        self._progress = progress
        self._router = router
        self._neighbours = neighbours
        self._storing: dict[int, _Storing] = {}

    def take(self, read: Callable[..., Job], message: Message) -> _Acknowledged | Refusal | None:
        """Take a task on; the future is done when it is durable, or is known not to become so.

        `read` raises Refused for what is no task; its sender is told so, also by what is returned.
        """
        try:
            now = time.monotonic()
            job = read(message, key=self._journal.next_key(), now=now)
            known = self._known(job)
            if known is not None:
                return known
            self._check_room(job)
            decision = self._decide(job, now)
            if isinstance(decision, Decision):
                self._check_place(job, decision)
        except Refused as refusal:
            self._note_refused(refusal)
            return self.refuse(refusal)
        except (BadTopic, BadPayload) as fault:
            log.warning("hand_off_unreadable", topic=message.topic, reason=str(fault))
            return None
        return self._accept(job, decision, now)

    def _decide(self, job: Job, now: float) -> Decision | _Asked:
        """The job's place, or the neighbours that are asked before it is chosen."""
        found = self._placer.decide(job, now)
        if isinstance(found, Asking):
            answered = self._neighbours.ask(found.nodes, job.weight, job.task, found.seconds)
            if answered is not None:
                return _Asked(found.nodes, answered)
            found = self._placer.decide_now(job, now, probed=found.nodes)
        return found

    def recover(self, fault_of: Callable[[Job], TaskError | None]) -> int:
        """Take on again the jobs that an earlier life of the node left open; return how many there were.

        Those that cannot run any more end with the error that `fault_of` finds.
        """
        jobs = list(self._journal.open_jobs())
        for job in jobs:
            self._jobs.add(job)
            self._router.recover(job, time.monotonic(), fault=fault_of(job))
        return len(jobs)

    async def settle(self) -> None:
        """Return once everything that was taken in is stored, or refused, and so acknowledged."""
        while self._storing:
            await asyncio.wait([storing.acknowledged for storing in self._storing.values()])

    def _check_room(self, job: Job) -> None:
        too_much = self._jobs.too_much(job)
        if too_much is not None:
            raise refused(job, ErrorCode.RATE_LIMITED, too_much)
        if self._jobs.full:
            text = f"{len(self._jobs)} tasks are open here, as many as may be; try later"
            raise refused(job, ErrorCode.OVERLOADED, text)

    def _check_place(self, job: Job, decision: Decision) -> None:
        if decision.place is Place.NOWHERE:
            raise refused(job, ErrorCode.UNROUTABLE, unroutable(job))
        if decision.place is Place.CLOUD and self._cloud is not None and self._cloud.full:
            text = "as much waits for the cloud as may; try later"
            raise refused(job, ErrorCode.OVERLOADED, text)

    def _known(self, job: Job) -> _Acknowledged | None:
        """The acknowledgement of a task that came before; its sender is told again what there is to tell."""
        earlier = self._jobs.same(job)
        if earlier is not None:
            storing = self._storing.get(earlier.key)
            if storing is not None:
                return storing.acknowledged
            self._progress.tell(earlier, Stage.ACCEPTED)
            return _done()
        remembered = self._journal.find(job)
        if remembered is None:
            return None
        self._replies.tell_again(sender_of(job), remembered.outcome)
        return _done()

    def _accept(self, job: Job, found: Decision | _Asked, now: float) -> _Acknowledged:
        """Store a job; the future, its sender's acknowledgement, is done once it is stored.

        That takes milliseconds, in which nobody has to be idle: a job that runs here goes to a worker at
        once, and neighbours are asked where its place depends on their answers. Nobody hears of the job
        before it is stored: an outcome that is there sooner is written together with it.
        """
        self._jobs.add(job)
        acknowledged: _Acknowledged = asyncio.get_running_loop().create_future()
        self._storing[job.key] = storing = _Storing(acknowledged)
        self._progress.keep(job)
        if isinstance(found, Decision):
            self._decided(job, found, now)
        else:
            found.answered.add_done_callback(lambda _: self._answered(job, found))
        may_end_soon = storing.running and job.predicted < PATIENCE
        stored = self._journal.accept(job, patience=PATIENCE if may_end_soon else 0.0)
        stored.add_done_callback(functools.partial(self._stored, job))
        return acknowledged

    def _answered(self, job: Job, asked: _Asked) -> None:
        if not job.ended:
            now = time.monotonic()
            self._decided(job, self._placer.decide_now(job, now, probed=asked.nodes), now)

    def _decided(self, job: Job, decision: Decision, now: float) -> None:
        """Carry out a decision: at once where that can be, else once the job is stored."""
        storing = self._storing.get(job.key)
        if storing is None:
            self._router.send(job, decision, now)
        elif self._router.start(job, decision, now):
            storing.running = True
        else:
            storing.decision = decision

    def _stored(self, job: Job, stored: asyncio.Future[None]) -> None:
        storing = self._storing.pop(job.key)
        acknowledged = storing.acknowledged
        if stored.cancelled():
            self._progress.drop(job)
            acknowledged.cancel()
            return
        fault = stored.exception()
        if fault is None and not job.ended:
            self._progress.stored(job)
            if storing.decision is not None:
                self._router.send(job, storing.decision, time.monotonic())
        else:
            # What is on its way is its outcome, which says all that its progress would.
            self._progress.drop(job)
        refusal = None if fault is None else self._withdraw(job)
        if not acknowledged.done():
            acknowledged.set_result(refusal)

    def _withdraw(self, job: Job) -> Refusal | None:
        """Take back a job that could not be stored: it was not accepted, and its sender is told so."""
        self._router.recall(job)
        job.end()
        self._jobs.withdraw(job)
        # The log says why, and which file.
        refusal = refused(job, ErrorCode.OVERLOADED, "it cannot be written to the disk here; try later")
        self._note_refused(refusal)
        return self._tell(refusal)

    def refuse(self, refusal: Refused) -> Refusal | None:
        """Tell a sender that its submission does not become a job; return what its acknowledgement says."""
        self._jobs.refuse(refusal.sender.owner)
        log.info("task_refused", code=refusal.code, reason=str(refusal), device=refusal.sender.device)
        return self._tell(refusal)

    def _note_refused(self, refusal: Refused) -> None:
        answer = refusal.sender.answer
        if answer is not None:
            self._rulebook.refused(answer.rule, refusal.code)

    def _tell(self, refusal: Refused) -> Refusal | None:
        """Send the outcome of a refused submission; return what its acknowledgement says."""
        self._replies.tell(refusal.sender, refusal_outcome(refusal, node=self._node))
        return told_at_once(refusal)


def _done() -> _Acknowledged:
    done: _Acknowledged = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done
