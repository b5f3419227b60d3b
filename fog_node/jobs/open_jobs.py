"""The jobs that have no outcome yet, and the accounts that change with them."""

from collections.abc import Collection, Iterator
from itertools import chain

from fog_node.jobs.books import Bookkeeper
from fog_node.jobs.job import End, Job
from fog_node.jobs.limits import DeviceLimits

Name = tuple[str, str, str]


class OpenJobs:
    """Every open job by who sent it and under which name; the books and the limits follow it.

    A name may have several, which ask for different things.

    `most` is `--max-backlog`: it counts jobs that wait, run, or are at other nodes. It may change.
    """

    def __init__(self, books: Bookkeeper, limits: DeviceLimits, *, most: int) -> None:
        self._books = books
        self._limits = limits
        self.most = most
        self._jobs: dict[Name, dict[bytes, Job]] = {}
        self._count = 0
        # Those that another node handed over, by the topic that it hears of them on.
        self._handed_over: dict[str, Job] = {}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Job]:
        return chain.from_iterable(map(dict.values, self._jobs.values()))

    def __contains__(self, job: Job) -> bool:
        return self.same(job) is job

    def same(self, job: Job) -> Job | None:
        """The open job that is the same task as this one."""
        named = self._jobs.get(job.name)
        return None if named is None else named.get(job.fingerprint)

    def named(self, device: str, id: str) -> Collection[Job]:
        """The open jobs that a device of this node's calls by this id."""
        return tuple(self._jobs.get(("", device, id), {}).values())

    def handed_over(self, reply: str) -> Job | None:
        """The open job that another node handed over and hears of on the topic `reply`."""
        return self._handed_over.get(reply)

    @property
    def full(self) -> bool:
        """Whether as many are open as may be."""
        return self._count >= self.most

    def too_much(self, job: Job) -> str | None:
        """Say why its device may not submit a job now; None lets it, and counts it against its rate."""
        return self._limits.refusal(job, job.received)

    def add(self, job: Job) -> None:
        """Note that a job was taken on."""
        self._jobs.setdefault(job.name, {})[job.fingerprint] = job
        self._count += 1
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
        named = self._jobs[job.name]
        del named[job.fingerprint]
        if not named:
            del self._jobs[job.name]
        self._count -= 1
        if job.origin:
            self._handed_over.pop(job.reply, None)
