"""Hands jobs to another node over its link, and takes back what came of them."""

import asyncio
import time
from typing import NoReturn, Protocol

import structlog

from broker.contract.mesh_filters import mesh_result_filter, mesh_wait_filter
from broker.contract.message import Message
from broker.contract.messages import ErrorCode, Outcome, Report, TaskError, decode_report
from broker.contract.topics import CLOUD, MeshResultTopic, MeshTaskTopic, MeshWaitTopic, parse
from broker.errors import BadPayload, BadTopic
from broker.links.link import Link
from broker.links.outbox import Outbox
from fog_node.jobs.job import Job
from fog_node.jobs.refusal import refused_there
from fog_node.mesh.hand_off_sender import HandOffSender
from fog_node.mesh.handed_over import HandedOver, HandedOverJobs
from fog_node.mesh.leases import Leases
from fog_node.mesh.questions import Questions
from fog_node.mesh.round_trip import RoundTrip
from fog_node.placement.answers import Figures

log = structlog.get_logger()

LEASE = 30.0
"""Seconds without a word of a job after which the other node is asked for it again, by handing it over again:
it knows it by its key, and answers how far it is."""

WATCH_INTERVAL = 1.0

GRACE = 3.0
"""Seconds for which a link that is down does not make the other node one that is away."""


class PeerListener(Protocol):
    """Hears what becomes of the jobs that are with another node."""

    def reported_by_peer(
        self, job: Job, report: Report, teller: "Peer", now: float
    ) -> asyncio.Future[None] | None:
        """The other node, `teller`, tells of a job; the future is done when an outcome is durable."""

    def expired(self, job: Job, now: float) -> None:
        """The job's time passed before it could leave."""

    def lost(self, job: Job, now: float) -> None:
        """The job is to be placed anew: the other node gave it back, or says nothing of it any more."""


class Peer:
    """The jobs of one node that are with another, or on their way there.

    `address` is the other node's in the mesh topics. `journal_life` makes keys unique over the lives of
    the journal. `sender` sends jobs, which wait in the outbox while the other broker is away; `leases`
    hands one over again after `lease` seconds without a word of it. `listener` hears what becomes of the
    jobs, `figures` how far the other node is; that is measured once a second.
    """

    def __init__(
        self,
        address: str,
        link: Link,
        outbox: Outbox,
        *,
        node: str,
        journal_life: str,
        listener: PeerListener,
        figures: Figures,
        lease: float = LEASE,
    ) -> None:
        self.address = address
        self._link = link
        self._listener = listener
        self._away = HandedOverJobs(address, node=node, journal_life=journal_life)
        self.sender = HandOffSender(address, link, outbox, self._away, figures)
        self.leases = Leases(
            address, self._away, seconds=lease, hand_over=self.sender.hand_over, lose=self._lose
        )
        self.questions = Questions(
            address, link, node=node, figures=figures, known_until=self._away.known_until
        )
        self.round_trip = RoundTrip(link, self._away.cancel_topic(None), figures)
        self._seen = time.monotonic()
        self._there = True
        outbox.on_dropped = self._dropped

    def submit(self, job: Job) -> None:
        """Hand a job over as soon as the other broker can be reached. Raises OutboxFull."""
        # First what may fail: an outbox that is full must leave no trace of the job here.
        self.sender.hand_over(job, self.address)
        self._away.add(job, time.monotonic())
        if job.deadline is not None:
            delay = job.deadline - time.monotonic()
            asyncio.get_running_loop().call_later(delay, self._expire_waiting, job)

    def receive(self, message: Message) -> asyncio.Future[None] | None:
        """Take in what came of a hand-off, or the answer to a question."""
        try:
            topic = parse(message.topic)
            if isinstance(topic, MeshWaitTopic):
                self.questions.receive(topic, message.payload)
                return None
            report = decode_report(message.payload)
        except (BadTopic, BadPayload) as fault:
            log.warning("report_unreadable", peer=self.address, topic=message.topic, reason=str(fault))
            return None
        away = self._away.find(topic.key) if isinstance(topic, MeshResultTopic) else None
        if away is None:
            return None
        now = time.monotonic()
        # Any word of it will do: what is spoken of is not lost.
        away.heard, away.leases = now, 0
        if report.progress is not None and self.address == CLOUD:
            away.holder = report.progress.node
        if report.outcome is not None:
            self._forget(away.job)
            if _given_back(report.outcome):
                away.job.come_back()
                # Or a neighbour that always says so would be asked for ever.
                away.job.avoid(self.address)
                if not refused_there(report.outcome):
                    self._listener.lost(away.job, now)
                    return None
            if away.asked:
                # Whoever else was given it can leave it.
                self.sender.cancel(away.job)
        return self._listener.reported_by_peer(away.job, report, self, now)

    def withdraw(self, job: Job) -> None:
        """Take a job back; nothing more is reported of it."""
        away = self._forget(job)
        if away is not None and job.away:
            self.sender.cancel(job)

    def lose_all(self) -> None:
        """Take every job back, since the other node is gone; should it return, it is told to leave them."""
        for away in self._away:
            self._lose(away)

    @property
    def full(self) -> bool:
        """Whether no further job is taken at present."""
        return self.sender.full

    @property
    def open(self) -> int:
        """How many jobs have left or wait to leave, and have no outcome yet."""
        return len(self._away)

    def known_until(self, then: float) -> float:
        """Until when everything that was handed over before `then` has arrived at the other broker."""
        return self._away.known_until(then)

    def held_by(self, gateway: str) -> int:
        """How many of these a gateway of the cloud has said to have."""
        return sum(away.holder == gateway for away in self._away)

    @property
    def reachable(self) -> bool:
        """Whether the other broker can be reached, or was there so lately that it counts as a blip.

        At the start it gets as long to be reached for the first time.
        """
        now = time.monotonic()
        if self._link.connected:
            self._seen = now
        return now - self._seen < GRACE

    @property
    def place(self) -> str:
        """Where the other broker is, for people."""
        return self._link.place

    @property
    def connected(self) -> bool:
        """Whether the other broker can be reached now."""
        return self._link.connected

    async def run(self) -> NoReturn:
        """Send what leaves and watch over what has left, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sender.run(), name=f"send to {self.address}")
            group.create_task(self._watch(), name=f"leases at {self.address}")
        raise AssertionError("neither ends")

    async def stop(self) -> None:
        """Disconnect."""
        await self._link.stop()

    async def _watch(self) -> NoReturn:
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            now = time.monotonic()
            before, self._there = self._there, self.reachable
            # At the change alone: from then on no job is sent there.
            if before and not self._there:
                self.leases.give_up_waiting()
            self.leases.check(now)
            self.round_trip.measure()

    def _lose(self, away: HandedOver) -> None:
        """Take a job back; should it be tried here once more, it is to be taken for a new one."""
        job = away.job
        self.withdraw(job)
        if job.away:
            job.come_back()
        self._listener.lost(job, time.monotonic())

    def _forget(self, job: Job) -> HandedOver | None:
        away = self._away.pop(job)
        if away is not None:
            self.sender.keep_back(away)
        return away

    def _expire_waiting(self, job: Job) -> None:
        # Once it has left, the other node says itself that it came too late.
        if job in self._away and not job.away:
            self._forget(job)
            self._listener.expired(job, time.monotonic())

    def _dropped(self, name: str) -> None:
        topic = parse(name)
        away = self._away.find(topic.key) if isinstance(topic, MeshTaskTopic) else None
        # One that has left is the other node's to answer for; only its second sending was dropped.
        if away is None or away.job.away:
            return
        now = time.monotonic()
        self._away.pop(away.job)
        if away.job.expired(now):
            self._listener.expired(away.job, now)
        else:
            self._listener.lost(away.job, now)


def _given_back(outcome: Outcome) -> bool:
    """Whether the other node has not tried the job: it refused it, or has obeyed an earlier recall of ours.

    A cancellation by the device has taken the job out of our hands before it reaches the other node.
    """
    recalled = isinstance(outcome.error, TaskError) and outcome.error.code is ErrorCode.CANCELLED
    return recalled or refused_there(outcome)


def answer_filters(node: str) -> list[str]:
    """What a node hears at another's broker: what came of its hand-offs, and the answers to its questions."""
    return [mesh_result_filter(node), mesh_wait_filter(node)]
