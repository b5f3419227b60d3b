"""What stands around the centre of a node, for tests: each takes down what it is asked to do."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.contract.messages import Outcome, Stage
from broker.contract.topics import CLOUD, Weight
from broker.errors import OutboxFull
from fog_node.jobs.job import Job
from fog_node.jobs.waits import Queue


@dataclass
class Queues:
    """The queues of a node that has workers for the weights in `of`."""

    of: dict[Weight, Queue] = field(default_factory=dict)

    def queue(self, weight: Weight) -> Queue | None:
        return self.of.get(weight)

    def queued(self) -> Mapping[Weight, int]:
        return {weight: max(0, one.jobs - one.slots) for weight, one in self.of.items()}


@dataclass
class Workers:
    """The workers of a node. They do nothing by themselves; `on_submit` is called with each job they get."""

    on_submit: Callable[[Job], None] = lambda _: None
    jobs: list[Job] = field(default_factory=list)
    withdrawn: list[Job] = field(default_factory=list)

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self.on_submit(job)

    def withdraw(self, job: Job) -> None:
        self.withdrawn.append(job)


@dataclass
class HandOffs:
    """The hand-offs to one other node, or to the cloud."""

    address: str = CLOUD
    full: bool = False
    reachable: bool = True
    known: float = 0.0
    jobs: list[Job] = field(default_factory=list)
    withdrawn: list[Job] = field(default_factory=list)

    def submit(self, job: Job) -> None:
        if self.full:
            raise OutboxFull("as much waits for it as may")
        self.jobs.append(job)

    def withdraw(self, job: Job) -> None:
        self.withdrawn.append(job)

    def known_until(self, then: float) -> float:
        return min(then, self.known)


class Mesh:
    """The neighbours of a node, all of which can be reached."""

    def __init__(self, *names: str) -> None:
        self.by_name = {name: HandOffs(name) for name in names}

    def peer(self, node: str) -> HandOffs | None:
        return self.by_name.get(node)

    def peers(self) -> list[HandOffs]:
        return list(self.by_name.values())

    def linked(self) -> list[str]:
        return list(self.by_name)


@dataclass
class Asked:
    """Neighbours that answer what a task would wait for when `answered` is done; None cannot be asked."""

    answered: asyncio.Future[None] | None = None
    nodes: list[tuple[str, ...]] = field(default_factory=list)

    def ask(
        self, nodes: Sequence[str], _weight: Weight, _task: str, _seconds: float
    ) -> asyncio.Future[None] | None:
        self.nodes.append(tuple(nodes))
        return self.answered


@dataclass
class Progress:
    """What is told of jobs on their way, as (id of the job, what)."""

    told: list[tuple[str, object]] = field(default_factory=list)

    def running(self, job: Job, percent: float | None = None) -> None:
        self.told.append((job.id, Stage.RUNNING if percent is None else percent))

    def tell(self, job: Job, stage: Stage, *, node: str | None = None, percent: float | None = None) -> None:
        self.told.append((job.id, (stage, node) if percent is None else (stage, node, percent)))


@dataclass
class Endings:
    """The outcomes of jobs, and the dead letters. What stands for an outcome is its number."""

    ended: list[tuple[Job, Outcome]] = field(default_factory=list)
    waits: list[float | None] = field(default_factory=list)
    dead: list[tuple[Job, str]] = field(default_factory=list)

    def end(self, job: Job, outcome: Outcome, *, wait_ms: float | None = None) -> int:
        job.end()
        self.ended.append((job, outcome))
        self.waits.append(wait_ms)
        return len(self.ended)

    def keep_dead(self, job: Job, reason: str) -> None:
        self.dead.append((job, reason))

    @property
    def only(self) -> Outcome:
        """The outcome, of which there is to be one."""
        ((_, outcome),) = self.ended
        return outcome


@dataclass
class Onward:
    """Where a listener's jobs go on; `elsewhere` tells whether there is another place for them."""

    elsewhere: bool = True
    done: list[tuple[Any, ...]] = field(default_factory=list)

    def place_anew(self, job: Job, now: float) -> None:
        self.done.append(("anew", job, now))

    def place_elsewhere(self, job: Job, now: float) -> bool:
        self.done.append(("elsewhere", job, now))
        return self.elsewhere

    def part_ended(self, part: Job, outcome: Outcome, now: float) -> None:
        self.done.append(("part", part, outcome.ok, now))


@dataclass
class Teller:
    """Another node that tells what came of a job."""

    address: str
    known: float = 1e9

    def known_until(self, then: float) -> float:
        return min(then, self.known)


def idle(slots: int = 2) -> Queue:
    """A queue in which nothing waits."""
    return Queue(jobs=0, slots=slots, wait=0.0)


def busy(slots: int = 2, wait: float = 9.0) -> Queue:
    """A queue in which a job waits for `wait` seconds."""
    return Queue(jobs=2 * slots, slots=slots, wait=wait)


def names(jobs: Sequence[Job]) -> list[str]:
    """The ids of jobs."""
    return [job.id for job in jobs]
