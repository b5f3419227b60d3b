"""What leaves for another node: it waits on disk, and goes as fast as the other broker takes it."""

import asyncio
import time
from functools import partial
from typing import NoReturn

import msgspec
import structlog

from broker.contract.messages import decode_hand_off, encode
from broker.contract.topics import MeshTaskTopic, parse
from broker.errors import LinkFull, OutboxFull, StorageError
from broker.links.link import Link
from broker.links.outbox import Outbox, OutboxEntry
from fog_node.jobs.job import Job
from fog_node.mesh.handed_over import HandedOver, HandedOverJobs
from fog_node.placement.answers import Figures

log = structlog.get_logger()

WINDOW = 20
"""Messages that wait for the other broker's acknowledgement at once (Mosquitto #3002: more make it flap)."""

FULL_PAUSE = 1.0
"""Seconds until a link that takes no more is tried again."""

CANCEL_LIFETIME = 24 * 3600.0
"""Seconds for which a cancellation waits for a node that is away."""


class HandOffSender:
    """Hand-offs and cancellations on their way to the node at `address`.

    A job's remaining time is counted when it really leaves. `figures` is told of each hand-off's bytes, and
    of the seconds until the other broker had them.
    """

    def __init__(
        self, address: str, link: Link, outbox: Outbox, away: HandedOverJobs, figures: Figures
    ) -> None:
        self._address = address
        self._link = link
        self._outbox = outbox
        self._away = away
        self._window = asyncio.Semaphore(WINDOW)
        self._figures = figures

    @property
    def full(self) -> bool:
        """Whether no further job is taken at present."""
        return self._outbox.full

    def hand_over(self, job: Job, address: str) -> None:
        """Hand a job over to `address` as soon as the other broker can be reached. Raises OutboxFull."""
        # The outbox outlives this process, and so keeps running time.
        skew = self._outbox.clock() - time.monotonic()
        expires = None if job.deadline is None else job.deadline + skew
        topic, handed = self._away.topic(job, address), encode(self._away.hand_off(job))
        stored = self._outbox.put(topic, handed, urgency=job.urgency + skew, expires=expires)
        stored.add_done_callback(_note)

    def cancel(self, job: Job) -> None:
        """Tell the other node to leave a job, be it today or tomorrow."""
        now = self._outbox.clock()
        try:
            self._outbox.put(self._away.cancel_topic(job), b"", urgency=now, expires=now + CANCEL_LIFETIME)
        except OutboxFull as fault:
            log.warning("cancel_not_sent", peer=self._address, job=job.key, reason=str(fault))

    def keep_back(self, away: HandedOver) -> None:
        """Have a job not leave, or not once more."""
        for topic in self._away.topics(away):
            self._outbox.remove(topic)

    async def run(self) -> NoReturn:
        """Send what waits, until cancelled."""
        while True:
            await self._window.acquire()
            await self._link.wait_connected()
            entry, payload = await self._outbox.take()
            # It may have gone while the outbox was empty; the budget is counted when the job really leaves.
            if not self._link.connected:
                self._outbox.give_back(entry)
                self._window.release()
                continue
            try:
                sent = self._send(entry, payload)
            except LinkFull:
                self._outbox.give_back(entry)
                self._window.release()
                await asyncio.sleep(FULL_PAUSE)
            else:
                sent.add_done_callback(partial(self._sent, entry, len(payload), time.monotonic()))

    def _send(self, entry: OutboxEntry, payload: bytes) -> asyncio.Future[None]:
        topic = parse(entry.topic)
        if isinstance(topic, MeshTaskTopic):
            away = self._away.find(topic.key)
            if away is not None:
                away.job.leave()
                away.heard = time.monotonic()
                away.arrived = False
            # Seconds that are left, and not a moment: two nodes' clocks differ.
            remaining = None if entry.expires is None else 1e3 * (entry.expires - self._outbox.clock())
            handed = msgspec.structs.replace(decode_hand_off(payload), budget_ms=remaining)
            payload = encode(handed)
        return self._link.send(entry.topic, payload)

    def _sent(self, entry: OutboxEntry, size: int, began: float, done: asyncio.Future[None]) -> None:
        self._window.release()
        if done.cancelled():
            self._outbox.give_back(entry)
            return
        fault = done.exception()
        if fault is not None:
            # A broker of MQTT 3.1.1 drops it without a word. Either way its lease ends.
            log.error("hand_off_refused", peer=self._address, topic=entry.topic, reason=str(fault))
        topic = parse(entry.topic)
        if isinstance(topic, MeshTaskTopic):
            self._away.arrived(topic.key)
            self._figures.transferred(size, time.monotonic() - began)
        if not entry.removed:
            self._outbox.remove(entry.topic)


def _note(stored: asyncio.Future[None]) -> None:
    # It leaves from memory all the same, and the journal has the job.
    if not stored.cancelled() and isinstance(stored.exception(), StorageError):
        log.warning("outbox_not_written", reason=str(stored.exception()))
