"""Tells whoever waits for a job how far it is: accepted, placed, running."""

from broker.contract.messages import Progress, Stage
from fog_node.jobs.job import Job
from fog_node.replies.outcomes import progress_message
from fog_node.replies.replies import Replies


class ProgressTeller:
    """The steps of all jobs. What a job does before it is stored is told once it is.

    A part of another job has nobody who waits for its steps.
    """

    def __init__(self, node: str, replies: Replies) -> None:
        self._node = node
        self._replies = replies
        # The steps of jobs that are being stored: those of the few milliseconds of a commit.
        self._kept: dict[int, list[Progress]] = {}

    def keep(self, job: Job) -> None:
        """Keep back that a job runs, until `stored` or `drop`."""
        self._kept[job.key] = []

    def stored(self, job: Job) -> None:
        """Tell that a job is accepted, and what it did meanwhile."""
        kept = self._kept.pop(job.key)
        self.tell(job, Stage.ACCEPTED)
        for step in kept:
            self._send(job, step)

    def drop(self, job: Job) -> None:
        """Forget what was kept of a job that could not be stored, or has ended."""
        del self._kept[job.key]

    def running(self, job: Job, percent: float | None = None) -> None:
        """Tell that a job runs at this node."""
        step = Progress(stage=Stage.RUNNING, id=job.id, task=job.task, node=self._node, percent=percent)
        kept = self._kept.get(job.key)
        if kept is None:
            self._send(job, step)
        else:
            kept.append(step)

    def tell(self, job: Job, stage: Stage, *, node: str | None = None, percent: float | None = None) -> None:
        """Tell of a step at `node`, which is this one unless another is named."""
        self._send(
            job, Progress(stage=stage, id=job.id, task=job.task, node=node or self._node, percent=percent)
        )

    def _send(self, job: Job, step: Progress) -> None:
        if job.own_part:
            return
        message = progress_message(job, step)
        if message is not None:
            self._replies.send(message)
