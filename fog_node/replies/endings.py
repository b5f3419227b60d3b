"""How jobs end: the outcome goes into the journal, then to whoever waits for it."""

import asyncio
import contextlib
import math
import time
from typing import NoReturn

import structlog

from broker.contract.messages import ErrorCode, Outcome, TaskError
from broker.errors import StorageError
from fog_node.jobs.books import end_of
from fog_node.jobs.job import End, Job
from fog_node.jobs.open_jobs import OpenJobs
from fog_node.jobs.refusal import Sender, sender_of
from fog_node.journal.journal import Journal
from fog_node.replies.outcomes import again, encode_outcome
from fog_node.replies.replies import Replies

log = structlog.get_logger()

WATCH_INTERVAL = 1.0
"""Seconds that an outcome may be on its way to the broker before the journal is told so."""

SLACK = 1.0
"""Seconds between an outcome's row and its sending, at most."""

RETRY = 1.0
"""Seconds before the journal is asked again to take an outcome that it could not write."""


class Endings:
    """Writes each outcome to the journal, then sends it."""

    def __init__(self, journal: Journal, jobs: OpenJobs, replies: Replies) -> None:
        self._journal = journal
        self._jobs = jobs
        self._replies = replies
        self._under_way: set[asyncio.Future[None]] = set()
        self._noted = False

    def end(self, job: Job, outcome: Outcome, *, wait_ms: float | None = None) -> asyncio.Future[None]:
        """Write an outcome into the journal, then send it; the future is done when it is durable.

        `wait_ms` is told to the node that handed the job over: what the next would wait here.
        """
        job.end()
        code = None
        if isinstance(outcome.error, TaskError):
            code = outcome.error.code
            about = {"task": job.task, "device": job.device, "id": job.id}
            # Of what did not run there may be thousands a second, just where there is most to do.
            tell = log.debug if code in {ErrorCode.CANCELLED, ErrorCode.EXPIRED} else log.info
            tell("task_failed", **about, code=code, reason=outcome.error.message)
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way.add(durable)
        durable.add_done_callback(self._under_way.discard)
        sender = sender_of(job)
        encoded = encode_outcome(outcome, sender, wait_ms=wait_ms)
        self._write(job, end_of(code), sender, encoded, durable)
        return durable

    def keep_dead(self, job: Job, reason: str) -> None:
        """Keep a job among the dead letters."""

        def written(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and done.exception() is not None:
                log.warning("dead_letter_not_kept", job=job.key, reason=str(done.exception()))

        log.warning("dead_letter", job=job.key, task=job.task, device=job.owner, reason=reason)
        self._journal.keep_dead(job, reason).add_done_callback(written)

    def send_again(self) -> int:
        """Send what an earlier life may not have sent, before anything ends here; return how much that is."""
        unsent = self._journal.unsent()
        for sender, outcome in unsent:
            self._replies.tell(sender, again(sender, outcome))
        self._noted = bool(unsent)
        return len(unsent)

    async def watch_unsent(self) -> NoReturn:
        """Have the journal know of outcomes that cannot be sent for long, until cancelled."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            since = self._replies.unsent_since
            late = since is not None and time.monotonic() - since > WATCH_INTERVAL
            # Written when it begins and when it is over; what is sent meanwhile is sent twice at most.
            if late != self._noted:
                with contextlib.suppress(StorageError):
                    await self._journal.note_unsent(since - SLACK if late and since is not None else None)
                    self._noted = late

    async def leave(self) -> None:
        """Have the journal know what this life leaves unsent, if anything."""
        since = self._replies.unsent_since
        with contextlib.suppress(StorageError):
            await self._journal.note_unsent(math.inf if since is None else since - SLACK)

    async def settle(self) -> None:
        """Return once every outcome that is known is durable and on its way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _write(
        self, job: Job, end: End, sender: Sender, outcome: bytes, durable: asyncio.Future[None]
    ) -> None:
        def written(stored: asyncio.Future[None]) -> None:
            if stored.cancelled():
                durable.cancel()
            elif stored.exception() is not None:
                # The job stays open, and its outcome here, until the journal can be written again.
                asyncio.get_running_loop().call_later(RETRY, self._write, job, end, sender, outcome, durable)
            else:
                self._close(job, end, sender, outcome)
                durable.set_result(None)

        self._journal.finish(job, end, outcome).add_done_callback(written)

    def _close(self, job: Job, end: End, sender: Sender, outcome: bytes) -> None:
        # Unless it was withdrawn meanwhile, since it could not be stored itself.
        if job in self._jobs:
            self._jobs.close(job, end)
            self._replies.tell(sender, outcome)
