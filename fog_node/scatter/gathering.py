"""The parts of one task: which are done, which are tried again, and when all are there. No I/O, no clock."""

from collections import Counter
from dataclasses import dataclass, field

from fog_node.jobs.job import Job

TRIES = 2
"""How often a part is tried that fails, before its task does."""


@dataclass(slots=True)
class Gathering:
    """A task on its way through splitting, its parts, and merging.

    `jobs` are those that have no outcome yet, by key: the step of splitting or merging, or the parts.
    """

    parent: Job
    began: float
    jobs: dict[int, Job] = field(default_factory=dict)
    _places: dict[int, int] = field(default_factory=dict)
    _values: dict[int, bytes] = field(default_factory=dict)
    _failures: Counter[int] = field(default_factory=Counter)
    _count: int = 0
    _nodes: Counter[str] = field(default_factory=Counter)

    def step(self, job: Job) -> None:
        """Note that the task is being split, or merged."""
        self.jobs = {job.key: job}

    def parts(self, jobs: list[Job]) -> None:
        """Note the parts, in their order."""
        self.jobs = {job.key: job for job in jobs}
        self._places = {job.key: place for place, job in enumerate(jobs)}
        self._count = len(jobs)

    @property
    def splitting(self) -> bool:
        """Whether it is not known yet what the parts are."""
        return not self._count

    @property
    def merging(self) -> bool:
        """Whether all parts are done."""
        return bool(self._count) and len(self._values) == self._count

    @property
    def percent(self) -> float:
        """How many of a hundred parts are done."""
        return 100 * len(self._values) / self._count if self._count else 0.0

    def done(self, job: Job, value: bytes, node: str) -> None:
        """Note the value of a part, and who found it."""
        del self.jobs[job.key]
        self._values[self._places[job.key]] = value
        self._nodes[node] += 1

    def may_try_again(self, job: Job) -> bool:
        """Whether a part that has failed is to be tried once more."""
        return self._failures[self._places[job.key]] + 1 < TRIES

    def try_again(self, failed: Job, again: Job) -> None:
        """Let another job stand for a part that has failed."""
        del self.jobs[failed.key]
        self.jobs[again.key] = again
        place = self._places[again.key] = self._places[failed.key]
        self._failures[place] += 1

    @property
    def values(self) -> list[bytes]:
        """The values of all parts, in their order."""
        return [self._values[place] for place in range(self._count)]

    @property
    def why(self) -> str:
        """Where the parts were done, for people."""
        shares = ", ".join(f"{node} {count}" for node, count in sorted(self._nodes.items()))
        return f"split into {self._count} parts: {shares}"
