"""The jobs that have no outcome yet, and the accounts that change with them."""

from collections.abc import Iterator

from fog_node.jobs.books import Bookkeeper
from fog_node.jobs.job import End, Job
from fog_node.jobs.limits import DeviceLimits

Identity = tuple[str, str, str]


class OpenJobs:
    """Every open job by who sent it and under which name; the books and the limits follow it.

    `most` is `--max-backlog`: it counts jobs that wait, run, or are at other nodes.
    """

    def __init__(self, books: Bookkeeper, limits: DeviceLimits, *, most: int) -> None:
        self._books = books
        self._limits = limits
        self._most = most
        self._jobs: dict[Identity, Job] = {}
        # Those that another node handed over, by the topic that it hears of them on.
        self._handed_over: dict[str, Job] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __contains__(self, job: Job) -> bool:
        return self._jobs.get(job.identity) is job

    def get(self, identity: Identity) -> Job | None:
        """The open job of that identity."""
        return self._jobs.get(identity)

    def handed_over(self, reply: str) -> Job | None:
        """The open job that another node handed over and hears of on the topic `reply`."""
        return self._handed_over.get(reply)

    @property
    def full(self) -> bool:
        """Whether as many are open as may be."""
        return len(self._jobs) >= self._most

    def too_much(self, job: Job) -> str | None:
        """Say why its device may not submit a job now; None lets it, and counts it against its rate."""
        return self._limits.refusal(job, job.received)

    def add(self, job: Job) -> None:
        """Note that a job was taken on."""
        self._jobs[job.identity] = job
        if job.origin:
            self._handed_over[job.reply] = job
        self._books.opened(job.owner)
        self._limits.opened(job)

    def withdraw(self, job: Job) -> None:
        """Note that a job was not taken on after all: it is a rejected submission."""
        self._remove(job)
        self._books.withdrawn(job.owner)
        self._limits.closed(job)

    def close(self, job: Job, end: End) -> None:
        """Note that an open job has its outcome."""
        self._remove(job)
        self._books.ended(job.owner, end)
        self._limits.closed(job)

    def refuse(self, device: str) -> None:
        """Note a submission that was answered with an error instead of being taken on."""
        self._books.rejected(device)

    def _remove(self, job: Job) -> None:
        del self._jobs[job.identity]
        if job.origin:
            self._handed_over.pop(job.reply, None)
