"""Hands jobs to another node over its link, and takes back what came of them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import msgspec
import structlog

from broker.engine import Message
from broker.errors import BadPayload, BadTopic, LinkFull, StorageError
from broker.link import Link
from broker.messages import HandOff, Report, decode_hand_off, decode_report, encode
from broker.outbox import Entry, Outbox
from broker.topics import MeshCancelTopic, MeshResultTopic, MeshTaskTopic, mesh_result_filter, parse
from fog_node.job import Job
from fog_node.pool import PATIENCE

log = structlog.get_logger()

WINDOW = 20
"""Messages that wait for the other broker's acknowledgement at once (Mosquitto #3002: more make it flap)."""

LEASE = 30.0
"""Seconds without a word of a job after which the other node is asked for it again, by handing it over again:
it knows it by its key, and answers how far it is."""

LEASES = 3
"""Leases without a word after which the job is taken back."""

WATCH_INTERVAL = 1.0

GRACE = 3.0
"""Seconds for which a link that is down does not make the other node one that is away."""

CANCEL_LIFETIME = 24 * 3600.0
"""Seconds for which a cancellation waits for a node that is away."""

OnReport = Callable[[Job, Report], asyncio.Future[None] | None]
OnLost = Callable[[Job], None]


@dataclass(slots=True)
class _Away:
    """A job that is with the other node or on its way there. `heard` is when there was last a word of it."""

    job: Job
    heard: float
    leases: int = 0


class Peer:
    """The jobs of one node that are with another, or on their way there.

    `address` is the other node's in the mesh topics. A job waits in the outbox while the other broker is
    away, and its remaining time is counted when it really leaves. `journal_life` makes keys unique over
    the lives of the journal. `on_expired` is told of jobs whose time passed in the outbox, `on_lost` of
    those of which the other node says nothing any more: they are to be placed anew.
    """

    def __init__(
        self,
        address: str,
        link: Link,
        outbox: Outbox,
        *,
        node: str,
        journal_life: str,
    ) -> None:
        self.address = address
        self._link = link
        self._outbox = outbox
        self._node = node
        self._life = journal_life
        self.on_report: OnReport = lambda _job, _report: None
        self.on_expired: OnLost = lambda _: None
        self.on_round_trip: Callable[[float], None] = lambda _: None
        self.on_lost: OnLost = lambda _: None
        self._away: dict[int, _Away] = {}
        self._window = asyncio.Semaphore(WINDOW)
        self._seen = time.monotonic()
        self._there = True
        outbox.on_dropped = self._dropped

    def start(self) -> None:
        """Begin to connect."""
        self._link.start(self.receive, [mesh_result_filter(self._node)])

    def submit(self, job: Job) -> None:
        """Hand a job over as soon as the other broker can be reached. Raises OutboxFull."""
        self._put(job)
        self._away[job.key] = _Away(job, time.monotonic())
        if job.deadline is not None:
            delay = job.deadline - time.monotonic()
            asyncio.get_running_loop().call_later(delay, self._expire_waiting, job)

    def withdraw(self, job: Job) -> None:
        """Take a job back; nothing more is reported of it."""
        if self._away.pop(job.key, None) is None:
            return
        self._outbox.remove(self._topic(job))
        if job.departed:
            now = time.time()
            topic = MeshCancelTopic(self.address, self._node, self._mesh_key(job))
            self._outbox.put(str(topic), b"", urgency=now, expires=now + CANCEL_LIFETIME)

    def lose_all(self) -> None:
        """Take every job back, since the other node is gone; should it return, it is told to leave them."""
        for away in list(self._away.values()):
            self.withdraw(away.job)
            away.job.departed = False
            self.on_lost(away.job)

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
                sent.add_done_callback(partial(self._sent, entry, time.monotonic()))

    def _send(self, entry: Entry, payload: bytes) -> asyncio.Future[None]:
        topic = parse(entry.topic)
        if isinstance(topic, MeshTaskTopic):
            away = self._find(topic.key)
            if away is not None:
                away.job.departed = True
                away.heard = time.monotonic()
            remaining = None if entry.expires is None else 1e3 * (entry.expires - time.time())
            handed = msgspec.structs.replace(decode_hand_off(payload), budget_ms=remaining)
            payload = encode(handed)
        return self._link.send(entry.topic, payload)

    def _sent(self, entry: Entry, began: float, done: asyncio.Future[None]) -> None:
        self._window.release()
        if done.cancelled() or done.exception() is not None:
            self._outbox.give_back(entry)
            return
        self.on_round_trip(time.monotonic() - began)
        if not entry.removed:
            self._outbox.remove(entry.topic)

    def _put(self, job: Job) -> None:
        handed = HandOff(
            device=job.device,
            id=job.id,
            payload=job.payload,
            route=(*job.route, self._node),
            max_hops=job.max_hops,
            part=job.part,
        )
        skew = time.time() - time.monotonic()
        expires = None if job.deadline is None else job.deadline + skew
        urgency = job.received + PATIENCE + skew if expires is None else expires
        stored = self._outbox.put(self._topic(job), encode(handed), urgency=urgency, expires=expires)
        stored.add_done_callback(_note)

    async def _watch(self) -> NoReturn:
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            now = time.monotonic()
            before, self._there = self._there, self.reachable
            if before and not self._there:
                self._give_up_waiting()
            for away in list(self._away.values()):
                if away.job.departed and now - away.heard > LEASE:
                    self._renew(away, now)

    def _give_up_waiting(self) -> None:
        """Have what has not left placed anew: it may have another place than with a node that is away."""
        for away in [one for one in self._away.values() if not one.job.departed]:
            self.withdraw(away.job)
            self.on_lost(away.job)

    def _renew(self, away: _Away, now: float) -> None:
        away.heard = now
        away.leases += 1
        log.warning("hand_off_silent", peer=self.address, job=away.job.key, leases=away.leases)
        if away.leases < LEASES:
            self._put(away.job)
            return
        self.withdraw(away.job)
        away.job.departed = False
        self.on_lost(away.job)

    def _expire_waiting(self, job: Job) -> None:
        # Once it has left, the other node says itself that it came too late.
        if job.key in self._away and not job.departed:
            del self._away[job.key]
            self._outbox.remove(self._topic(job))
            self.on_expired(job)

    def _dropped(self, name: str) -> None:
        topic = parse(name)
        away = self._find(topic.key) if isinstance(topic, MeshTaskTopic) else None
        if away is None or away.job.departed:
            return
        del self._away[away.job.key]
        if away.job.expired(time.monotonic()):
            self.on_expired(away.job)
        else:
            self.on_lost(away.job)

    def receive(self, message: Message) -> asyncio.Future[None] | None:
        """Take in what came of a hand-off."""
        try:
            topic = parse(message.topic)
            report = decode_report(message.payload)
        except (BadTopic, BadPayload) as fault:
            log.warning("report_unreadable", peer=self.address, topic=message.topic, reason=str(fault))
            return None
        away = self._find(topic.key) if isinstance(topic, MeshResultTopic) else None
        if away is None:
            return None
        away.heard, away.leases = time.monotonic(), 0
        if report.outcome is not None:
            del self._away[away.job.key]
            self._outbox.remove(self._topic(away.job))
        return self.on_report(away.job, report)

    def _topic(self, job: Job) -> str:
        return str(MeshTaskTopic(self.address, job.weight, job.task, self._node, self._mesh_key(job)))

    def _mesh_key(self, job: Job) -> str:
        return f"{self._life}-{job.key}"

    def _find(self, mesh_key: str) -> _Away | None:
        life, _, key = mesh_key.partition("-")
        return self._away.get(int(key)) if life == self._life and key.isdecimal() else None


def _note(stored: asyncio.Future[None]) -> None:
    # It leaves from memory all the same, and the journal has the job.
    if not stored.cancelled() and isinstance(stored.exception(), StorageError):
        log.warning("outbox_not_written", reason=str(stored.exception()))
