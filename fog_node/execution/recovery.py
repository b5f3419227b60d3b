"""Recovers jobs from a lost worker: the job that was running is retried or failed, the rest are queued again.

No I/O, no clock.
"""

from collections.abc import Callable

import structlog

from broker.contract.messages import ErrorCode
from broker.contract.topics import Weight
from fog_node.execution.in_flight import Revoke, SentMessage, may_have_had
from fog_node.execution.pool import Pool
from fog_node.jobs.job import Job
from fog_tasks.reporting.reports import Failed, JobReport

log = structlog.get_logger()

ATTEMPTS = 3
"""How often a job is tried whose worker process dies under it."""

OnReport = Callable[[Job, JobReport, float], None]
"""Hears what became of a job at this node's workers, and when."""


class Recovery:
    """Takes jobs out of messages that are lost. `changed` is called when there is something to send."""

    def __init__(self, on_report: OnReport, changed: Callable[[], None]) -> None:
        self._on_report = on_report
        self._changed = changed

    def give_back(self, pool: Pool, now: float, those: Callable[[str | None], bool] = lambda _: True) -> None:
        """Queue again what was with workers that are lost: with all of a pool, or with those.

        Asked with None, it is about the messages that nobody has begun.
        """
        for message in pool.in_flight.of_workers(those):
            if message.worker is None:
                self._queue_again(pool, pool.in_flight.end(message))
            else:
                reason = "the worker that ran it died"
                lost = Failed(message.ticket, ErrorCode.FAILED, reason, 0.0, killed=True, worker_lost=True)
                self.crash(pool, message, lost, now)

    def crash(self, pool: Pool, message: SentMessage, report: Failed, now: float) -> None:
        """End the job under which a process died, and queue again those that were to come after it."""
        first = next(iter(message.members))
        job = pool.ended(message, first, now)
        self._queue_again(pool, pool.in_flight.end(message))
        if report.worker_lost:
            self._retry(pool, job, report, now)
        else:
            self._on_report(job, report, now)
        self._changed()

    def search(self, weight: Weight, pool: Pool, now: float) -> list[Revoke]:
        """Recover the jobs of workers that have fallen silent, and end those whose lease is over.

        Returns what workers are to be told: to drop the messages whose lease is over.
        """
        for worker in pool.silent(now):
            log.warning("worker_silent", worker=worker, weight=weight)
            pool.forget(worker)
            self.give_back(pool, now, may_have_had(worker))
        overdue = list(pool.in_flight.overdue(now))
        for message in overdue:
            log.warning("lease_ended", ticket=message.ticket, worker=message.worker, weight=weight)
            late = "it ran past its time limit, and its worker did not end it"
            failed = Failed(message.ticket, ErrorCode.TIMED_OUT, late, 0.0, killed=True)
            self.crash(pool, message, failed, now)
        return [Revoke(message.ticket) for message in overdue]

    def _retry(self, pool: Pool, job: Job, report: Failed, now: float) -> None:
        job.attempts += 1
        if job.attempts < ATTEMPTS:
            log.warning(
                "job_retried", job=job.key, task=job.task, attempts=job.attempts, reason=report.message
            )
            self._queue_again(pool, [job])
        else:
            message = f"{report.message}; it was tried {job.attempts} times"
            last = Failed(report.ticket, report.code, message, report.ran_ms, killed=True, worker_lost=True)
            self._on_report(job, last, now)

    def _queue_again(self, pool: Pool, jobs: list[Job]) -> None:
        pool.push_all(jobs)
        self._changed()
