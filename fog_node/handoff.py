"""Hands jobs to another node over its link, and takes back what came of them."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import msgspec
import structlog

from broker.engine import Message
from broker.errors import BadPayload, BadTopic, LinkFull, OutboxFull, StorageError
from broker.link import Link
from broker.messages import (
    ErrorCode,
    Outcome,
    Report,
    TaskError,
    decode_hand_off,
    decode_report,
    encode,
)
from broker.outbox import Entry, Outbox
from broker.topics import (
    CLOUD,
    MeshResultTopic,
    MeshTaskTopic,
    MeshWaitTopic,
    mesh_result_filter,
    mesh_wait_filter,
    parse,
)
from fog_node.away import Away, AwayJobs
from fog_node.job import Job
from fog_node.pool import PATIENCE
from fog_node.questions import Questions
from fog_node.round_trip import RoundTrip

log = structlog.get_logger()

WINDOW = 20
"""Messages that wait for the other broker's acknowledgement at once (Mosquitto #3002: more make it flap)."""

LEASE = 30.0
"""Seconds without a word of a job after which the other node is asked for it again, by handing it over again:
it knows it by its key, and answers how far it is."""

LEASES = 3
"""Leases without a word after which the job is taken back."""

WATCH_INTERVAL = 1.0

UNHEARD = 1.0
"""Seconds after which a node that has a job has long said so."""

GRACE = 3.0
"""Seconds for which a link that is down does not make the other node one that is away."""

CANCEL_LIFETIME = 24 * 3600.0
"""Seconds for which a cancellation waits for a node that is away."""

OnReport = Callable[[Job, Report], asyncio.Future[None] | None]
OnLost = Callable[[Job], None]
OnTransferred = Callable[[int, float], None]


class Peer:
    """The jobs of one node that are with another, or on their way there.

    `address` is the other node's in the mesh topics. A job waits in the outbox while the other broker is
    away, and its remaining time is counted when it really leaves. `journal_life` makes keys unique over
    the lives of the journal. After `lease` seconds without a word of a job it is handed over again.
    `on_expired` is told of jobs whose time passed in the outbox, `on_lost` of those of which the other
    node says nothing any more: they are to be placed anew. `on_transferred` is told of each hand-off's
    bytes, and of the seconds until the other broker had them. `round_trip` is measured once a second,
    `questions` are those to the other node.
    """

    def __init__(
        self,
        address: str,
        link: Link,
        outbox: Outbox,
        *,
        node: str,
        journal_life: str,
        lease: float = LEASE,
    ) -> None:
        self.address = address
        self._link = link
        self._outbox = outbox
        self._lease = lease
        self.on_report: OnReport = lambda _job, _report: None
        self.on_expired: OnLost = lambda _: None
        self.on_lost: OnLost = lambda _: None
        self.on_transferred: OnTransferred = lambda _size, _seconds: None
        self._away = AwayJobs(address, node=node, journal_life=journal_life)
        self.questions = Questions(address, link, node=node, known_until=self._away.known_until)
        self.round_trip = RoundTrip(link, self._away.cancel_topic(None))
        self._window = asyncio.Semaphore(WINDOW)
        self._seen = time.monotonic()
        self._there = True
        outbox.on_dropped = self._dropped

    def submit(self, job: Job) -> None:
        """Hand a job over as soon as the other broker can be reached. Raises OutboxFull."""
        self._put(job, self.address)
        self._away.add(job, time.monotonic())
        if job.deadline is not None:
            delay = job.deadline - time.monotonic()
            asyncio.get_running_loop().call_later(delay, self._expire_waiting, job)

    def withdraw(self, job: Job) -> None:
        """Take a job back; nothing more is reported of it."""
        away = self._forget(job)
        if away is not None and job.departed:
            self._cancel(job)

    def lose_all(self) -> None:
        """Take every job back, since the other node is gone; should it return, it is told to leave them."""
        for away in self._away:
            self._lose(away)

    def ask_again(self, gone: str | None) -> None:
        """Hand over again what the gateway has that is gone, and what none has said to have.

        Should it return, what it says of them is as good as another's word.
        """
        now = time.monotonic()
        for away in self._away:
            if away.job.departed and (away.holder == gone or self._unheard(away, now)):
                away.holder, away.leases, away.heard = "", 0, now
                self._ask(away, self.address)

    def give_up_waiting(self) -> None:
        """Have placed anew what the other broker has not acknowledged, since nobody is there."""
        for away in self._away:
            if not away.arrived:
                self._lose(away)

    @property
    def waiting(self) -> int:
        """How many messages have not left yet."""
        return len(self._outbox)

    @property
    def full(self) -> bool:
        """Whether no further job is taken at present."""
        return self._outbox.full

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
            group.create_task(self._send_all(), name=f"send to {self.address}")
            group.create_task(self._watch(), name=f"leases at {self.address}")
        raise AssertionError("neither ends")

    async def stop(self) -> None:
        """Disconnect."""
        await self._link.stop()

    async def _send_all(self) -> NoReturn:
        while True:
            await self._window.acquire()
            await self._link.wait_connected()
            entry, payload = await self._outbox.take()
            if not self._link.connected:
                self._outbox.give_back(entry)
                self._window.release()
                continue
            try:
                sent = self._send(entry, payload)
            except LinkFull:
                self._outbox.give_back(entry)
                self._window.release()
                await asyncio.sleep(WATCH_INTERVAL)
            else:
                sent.add_done_callback(partial(self._sent, entry, len(payload), time.monotonic()))

    def _send(self, entry: Entry, payload: bytes) -> asyncio.Future[None]:
        topic = parse(entry.topic)
        if isinstance(topic, MeshTaskTopic):
            away = self._away.find(topic.key)
            if away is not None:
                away.job.departed = True
                away.heard = time.monotonic()
                away.arrived = False
            remaining = None if entry.expires is None else 1e3 * (entry.expires - time.time())
            handed = msgspec.structs.replace(decode_hand_off(payload), budget_ms=remaining)
            payload = encode(handed)
        return self._link.send(entry.topic, payload)

    def _sent(self, entry: Entry, size: int, began: float, done: asyncio.Future[None]) -> None:
        self._window.release()
        if done.cancelled() or done.exception() is not None:
            self._outbox.give_back(entry)
            return
        topic = parse(entry.topic)
        if isinstance(topic, MeshTaskTopic):
            self._away.arrived(topic.key)
            self.on_transferred(size, time.monotonic() - began)
        if not entry.removed:
            self._outbox.remove(entry.topic)

    def _put(self, job: Job, address: str) -> None:
        skew = time.time() - time.monotonic()
        expires = None if job.deadline is None else job.deadline + skew
        urgency = job.received + PATIENCE + skew if expires is None else expires
        topic, handed = self._away.topic(job, address), encode(self._away.hand_off(job))
        stored = self._outbox.put(topic, handed, urgency=urgency, expires=expires)
        stored.add_done_callback(_note)

    async def _watch(self) -> NoReturn:
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            now = time.monotonic()
            before, self._there = self._there, self.reachable
            if before and not self._there:
                self.give_up_waiting()
            for away in self._away:
                if away.job.departed and now - away.heard > self._lease:
                    self._renew(away, now)
            self.round_trip.measure()

    def _unheard(self, away: Away, now: float) -> bool:
        return not away.holder and now - away.heard > UNHEARD

    def _renew(self, away: Away, now: float) -> None:
        away.heard = now
        away.leases += 1
        log.warning("hand_off_silent", peer=self.address, job=away.job.key, leases=away.leases)
        if away.leases >= LEASES:
            away.job.avoided = (*away.job.avoided, self.address)
            self._lose(away)
        else:
            # The gateway that has it is asked first: any other would begin it once more.
            self._ask(away, (away.leases == 1 and away.holder) or self.address)

    def _ask(self, away: Away, address: str) -> None:
        away.asked = True
        try:
            self._put(away.job, address)
        except OutboxFull as fault:
            log.warning("hand_off_not_asked", peer=address, job=away.job.key, reason=str(fault))

    def _lose(self, away: Away) -> None:
        """Take a job back; should it be tried here once more, it is to be taken for a new one."""
        job = away.job
        self.withdraw(job)
        job.recalls += job.departed
        job.departed = False
        self.on_lost(job)

    def _forget(self, job: Job) -> Away | None:
        away = self._away.pop(job)
        if away is not None:
            for topic in self._away.topics(away):
                self._outbox.remove(topic)
        return away

    def _cancel(self, job: Job) -> None:
        now = time.time()
        try:
            self._outbox.put(self._away.cancel_topic(job), b"", urgency=now, expires=now + CANCEL_LIFETIME)
        except OutboxFull as fault:
            log.warning("cancel_not_sent", peer=self.address, job=job.key, reason=str(fault))

    def _expire_waiting(self, job: Job) -> None:
        # Once it has left, the other node says itself that it came too late.
        if job in self._away and not job.departed:
            self._forget(job)
            self.on_expired(job)

    def _dropped(self, name: str) -> None:
        topic = parse(name)
        away = self._away.find(topic.key) if isinstance(topic, MeshTaskTopic) else None
        if away is None or away.job.departed:
            return
        self._away.pop(away.job)
        if away.job.expired(time.monotonic()):
            self.on_expired(away.job)
        else:
            self.on_lost(away.job)

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
        away.heard, away.leases = time.monotonic(), 0
        if report.progress is not None and self.address == CLOUD:
            away.holder = report.progress.node
        if report.outcome is not None:
            self._forget(away.job)
            if _recalled(report.outcome):
                away.job.recalls += 1
                away.job.departed = False
                # Or a neighbour that always says so would be asked for ever.
                away.job.avoided = (*away.job.avoided, self.address)
                self.on_lost(away.job)
                return None
            if away.asked:
                # Whoever else was given it can leave it.
                self._cancel(away.job)
        return self.on_report(away.job, report)


def _recalled(outcome: Outcome) -> bool:
    """Whether it tells that an earlier recall of ours was obeyed.

    A cancellation by the device has taken the job out of our hands before it reaches the other node.
    """
    return isinstance(outcome.error, TaskError) and outcome.error.code is ErrorCode.CANCELLED


def answer_filters(node: str) -> list[str]:
    """What a node hears at another's broker: what came of its hand-offs, and the answers to its questions."""
    return [mesh_result_filter(node), mesh_wait_filter(node)]


def _note(stored: asyncio.Future[None]) -> None:
    # It leaves from memory all the same, and the journal has the job.
    if not stored.cancelled() and isinstance(stored.exception(), StorageError):
        log.warning("outbox_not_written", reason=str(stored.exception()))
