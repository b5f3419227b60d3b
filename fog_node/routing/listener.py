"""Hears what becomes of jobs, here and at other nodes, and sees each to its one outcome.

No I/O, no clock.
"""

from typing import Any, Generic, Protocol, TypeVar

from broker.contract.messages import ErrorCode, Outcome, Report, Stage, TaskError
from fog_node.jobs.job import Job
from fog_node.jobs.refusal import refused_there
from fog_node.placement.experience import Experience, Teller
from fog_node.placement.here import Here
from fog_node.replies.outcomes import local_outcome, returned_outcome
from fog_tasks.reporting.reports import Advanced, Done, Failed, JobReport, Running

Durable = TypeVar("Durable", covariant=True)  # noqa: PLC0105 - named for what it is
"""What stands for an outcome that is being written: a future in a live node."""


class Endings(Protocol[Durable]):
    """Writes each outcome to the journal, then sends it."""

    def end(self, job: Job, outcome: Outcome, *, wait_ms: float | None = None) -> Durable:
        """End a job; `wait_ms` is told to the node that handed it over: what the next would wait here."""

    def keep_dead(self, job: Job, reason: str) -> None:
        """Keep a job among the dead letters."""


class ProgressTeller(Protocol):
    """Tells whoever waits for a job how far it is."""

    def running(self, job: Job, percent: float | None = None) -> None:
        """Tell that a job runs at this node."""

    def tell(self, job: Job, stage: Stage, *, node: str | None = None, percent: float | None = None) -> None:
        """Tell of a step at `node`, which is this one unless another is named."""


class Onward(Protocol):
    """Where the listener's jobs go on."""

    def place_anew(self, job: Job, now: float) -> None:
        """Find another place for a job; where there is none, leave it to the cloud, and ask there again."""

    def place_elsewhere(self, job: Job, now: float) -> bool:
        """Find a place for a job that another node has refused; False if there is none left."""

    def part_ended(self, part: Job, outcome: Outcome, now: float) -> None:
        """A part of a job of this node has ended."""


class Listener(Generic[Durable]):
    """Hears workers and other nodes. `onward` is set when all parts are made.

    Workers and other nodes are made with a listener; `onward` sends jobs to them, and is made after them.
    """

    onward: Onward

    def __init__(
        self,
        node: str,
        *,
        here: Here,
        experience: Experience,
        endings: Endings[Durable],
        progress: ProgressTeller,
    ) -> None:
        self._node = node
        self._here = here
        self._experience = experience
        self._endings = endings
        self._progress = progress

    def reported(self, job: Job, report: JobReport, now: float) -> None:
        """Hear what became of a job at this node's workers."""
        match report:
            case Running():
                self._progress.running(job)
            case Advanced(percent=percent):
                self._progress.running(job, percent)
            case Done(value=value, ran_ms=ran_ms):
                self._experience.ran_here(job, ran_ms / 1e3)
                self._ended_here(job, now, ran_ms=ran_ms, value=value)
            case Failed(code=code, message=message, ran_ms=ran_ms):
                if report.worker_lost and not job.part:
                    self._endings.keep_dead(job, message)
                self._ended_here(job, now, ran_ms=ran_ms, error=TaskError(code, message))

    def reported_by_peer(self, job: Job, report: Report, teller: Teller, now: float) -> Durable | None:
        """Hear what became of a job at another node; return what stands for its outcome, if it has one."""
        step = report.progress
        # That the other node has accepted it is between the nodes: the device was told by this one.
        if step is not None and step.stage is not Stage.ACCEPTED:
            self._progress.tell(job, step.stage, node=step.node, percent=step.percent)
        if report.outcome is None:
            return None
        if refused_there(report.outcome) and self.onward.place_elsewhere(job, now):
            return None
        self._experience.told(job, report, teller, now)
        return self.end(job, returned_outcome(job, report.outcome, node=self._node, now=now), now)

    def expired(self, job: Job, now: float) -> None:
        """End a job whose deadline passed on its way to another node."""
        self.fail(job, ErrorCode.EXPIRED, "its deadline passed before another node could be reached", now)

    def lost(self, job: Job, now: float) -> None:
        """Find another place for a job that another node gave back, or says nothing of any more."""
        self.onward.place_anew(job, now)

    def fail(self, job: Job, code: ErrorCode, message: str, now: float) -> Durable | None:
        """End a job with an error of this node's."""
        return self._ended_here(job, now, error=TaskError(code, message))

    def end(self, job: Job, outcome: Outcome, now: float) -> Durable | None:
        """End a job; return what stands for its outcome, None for a part, which has none of its own."""
        if job.own_part:
            job.end()
            self.onward.part_ended(job, outcome, now)
            return None
        wait_ms = None
        if job.origin:
            wait_ms = round(1e3 * self._here.wait_of(job.weight), 1)
        return self._endings.end(job, outcome, wait_ms=wait_ms)

    def _ended_here(self, job: Job, now: float, **how: Any) -> Durable | None:
        return self.end(job, local_outcome(job, node=self._node, now=now, **how), now)
