"""Hands jobs to the cloud over its link, and takes back what came of them."""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

import structlog

from broker.engine import Message
from broker.errors import BadPayload, BadTopic
from broker.link import Link
from broker.messages import HandOff, Report, decode_report, encode
from broker.topics import CLOUD, MeshCancelTopic, MeshResultTopic, MeshTaskTopic, mesh_result_filter, parse
from fog_node.job import Job

log = structlog.get_logger()

WINDOW = 20
"""Hand-offs that wait for the other broker's acknowledgement at once."""

OnReport = Callable[[Job, Report], asyncio.Future[None] | None]
OnExpired = Callable[[Job], None]


class CloudHandOff:
    """The jobs of one node that are with the cloud, or on their way there.

    A job waits here, not in the link, while the cloud's broker is away, so that its remaining time is
    counted when it really leaves. `journal_life` makes keys unique over the lives of the journal.
    """

    def __init__(
        self, link: Link, node: str, journal_life: str, on_report: OnReport, on_expired: OnExpired
    ) -> None:
        self._link = link
        self._node = node
        self._life = journal_life
        self._on_report = on_report
        self._on_expired = on_expired
        self._open: dict[int, Job] = {}
        self._leaving: asyncio.Queue[Job] = asyncio.Queue()
        self._window = asyncio.Semaphore(WINDOW)

    def start(self) -> None:
        """Begin to connect."""
        self._link.start(self._receive, [mesh_result_filter(self._node)])

    def submit(self, job: Job) -> None:
        """Hand a job over as soon as the cloud's broker can be reached."""
        self._open[job.key] = job
        self._leaving.put_nowait(job)
        if job.deadline is not None:
            delay = job.deadline - time.monotonic()
            asyncio.get_running_loop().call_later(delay, self._expire_waiting, job)

    def withdraw(self, job: Job) -> None:
        """Take a job back; nothing more is reported of it."""
        if self._open.pop(job.key, None) is not None and self._link.connected:
            topic = MeshCancelTopic(CLOUD, self._node, self._mesh_key(job))
            self._link.send(str(topic), b"")

    @property
    def waiting(self) -> int:
        """How many jobs have not left yet."""
        return self._leaving.qsize()

    @property
    def open(self) -> int:
        """How many jobs have left or wait to leave, and have no outcome yet."""
        return len(self._open)

    @property
    def connected(self) -> bool:
        """Whether the cloud's broker can be reached now."""
        return self._link.connected

    async def run(self) -> NoReturn:
        """Send what leaves, until cancelled."""
        while True:
            job = await self._leaving.get()
            await self._window.acquire()
            await self._link.wait_connected()
            sent = self._send(job)
            if sent is None:
                self._window.release()
            else:
                sent.add_done_callback(lambda _: self._window.release())

    def _send(self, job: Job) -> asyncio.Future[None] | None:
        if job.key not in self._open:
            return None
        remaining = job.remaining(time.monotonic())
        if remaining is not None and remaining <= 0:
            self._expire(job)
            return None
        topic = MeshTaskTopic(CLOUD, job.weight, job.task, self._node, self._mesh_key(job))
        handed = HandOff(
            device=job.device,
            id=job.id,
            payload=job.payload,
            route=(*job.route, self._node),
            budget_ms=None if remaining is None else 1e3 * remaining,
            max_hops=job.max_hops,
        )
        job.departed = True
        return self._link.send(str(topic), encode(handed))

    def _expire_waiting(self, job: Job) -> None:
        # Once it has left, the cloud says itself that it came too late.
        if job.key in self._open and not job.departed:
            self._expire(job)

    def _expire(self, job: Job) -> None:
        del self._open[job.key]
        self._on_expired(job)

    def _receive(self, message: Message) -> asyncio.Future[None] | None:
        try:
            topic = parse(message.topic)
            report = decode_report(message.payload)
        except (BadTopic, BadPayload) as fault:
            log.warning("cloud_report_unreadable", topic=message.topic, reason=str(fault))
            return None
        job = self._job(topic.key) if isinstance(topic, MeshResultTopic) else None
        if job is None:
            return None
        if report.outcome is not None:
            del self._open[job.key]
        return self._on_report(job, report)

    def _mesh_key(self, job: Job) -> str:
        return f"{self._life}-{job.key}"

    def _job(self, mesh_key: str) -> Job | None:
        life, _, key = mesh_key.partition("-")
        return self._open.get(int(key)) if life == self._life and key.isdecimal() else None

    async def stop(self) -> None:
        """Disconnect."""
        await self._link.stop()
