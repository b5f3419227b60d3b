"""The workers that a job of this node can run at: the node's own, and those of a Celery application."""

from fog_node.execution.application.door import ApplicationDoor
from fog_node.execution.executor import Executor
from fog_node.jobs.job import Job


class AllWorkers:
    """Gives each job to the workers that have its task."""

    def __init__(self, own: Executor, door: ApplicationDoor) -> None:
        self._own = own
        self._door = door

    def submit(self, job: Job) -> None:
        """Let a job run as soon as its turn comes."""
        (self._door if self._door.takes(job.task) else self._own).submit(job)

    def withdraw(self, job: Job) -> None:
        """Take a job back, whether it waits or runs; nothing more is reported of it."""
        # Which of them has it depends on what its task was when it came: tasks are loaded anew.
        self._door.withdraw(job)
        self._own.withdraw(job)
