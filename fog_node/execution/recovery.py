"""What becomes of jobs whose worker, or worker's process, is lost: one is to blame, the others wait again.

No I/O, no clock.
"""

from collections.abc import Callable

import structlog

from broker.contract.messages import ErrorCode
from broker.contract.topics import Weight
from fog_node.execution.in_flight import SentMessage
from fog_node.execution.pool import Pool
from fog_node.jobs.job import Job
from fog_tasks.reporting.reports import Failed, JobReport

log = structlog.get_logger()

ATTEMPTS = 3
"""How often a job is tried whose worker process dies under it."""

OnReport = Callable[[Job, JobReport], None]


class Recovery:
    """Takes jobs out of messages that are lost. `changed` is called when there is something to send."""

    def __init__(self, on_report: OnReport, changed: Callable[[], None]) -> None:
        self._on_report = on_report
        self._changed = changed

    def ground(self, pool: Pool, now: float, worker: str | None = None) -> None:
        """Place again what was with a worker that is lost, or with all of a pool."""
        for message in pool.ground(worker):
            if message.worker is None:
                self._place_again(pool, pool.in_flight.end(message))
            else:
                reason = "the worker that ran it died"
                lost = Failed(message.ticket, ErrorCode.FAILED, reason, 0.0, killed=True, worker_lost=True)
                self.crash(pool, message, lost, now)

    def crash(self, pool: Pool, message: SentMessage, report: Failed, now: float) -> None:
        """End the job under which a process died, and place again those that were to come after it."""
        first = next(iter(message.members))
        job = pool.ended(message, first, now)
        self._place_again(pool, pool.in_flight.end(message))
        if report.worker_lost:
            self._retry(pool, job, report)
        else:
            self._on_report(job, report)
        self._changed()

    def search(self, weight: Weight, pool: Pool, now: float) -> list[str]:
        """Look for workers that have fallen silent and messages past their lease.

        Returns the tickets of the latter, which nobody is to run any more.
        """
        for worker in pool.silent(now):
            log.warning("worker_silent", worker=worker, weight=weight)
            self.ground(pool, now, worker)
        overdue = list(pool.in_flight.overdue(now))
        for message in overdue:
            log.warning("lease_ended", ticket=message.ticket, worker=message.worker, weight=weight)
            late = "it ran past its time limit, and its worker did not end it"
            failed = Failed(message.ticket, ErrorCode.TIMED_OUT, late, 0.0, killed=True)
            self.crash(pool, message, failed, now)
        return [message.ticket for message in overdue]

    def _retry(self, pool: Pool, job: Job, report: Failed) -> None:
        job.attempts += 1
        if job.attempts < ATTEMPTS:
            log.warning(
                "job_retried", job=job.key, task=job.task, attempts=job.attempts, reason=report.message
            )
            self._place_again(pool, [job])
        else:
            message = f"{report.message}; it was tried {job.attempts} times"
            last = Failed(report.ticket, report.code, message, report.ran_ms, killed=True, worker_lost=True)
            self._on_report(job, last)

    def _place_again(self, pool: Pool, jobs: list[Job]) -> None:
        for job in jobs:
            pool.push(job)
        self._changed()
