"""The centre of a node without sockets, processes and Redis: its own parts around those of seams.py."""

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from broker.contract.message import Message
from broker.contract.messages import Load, NodeState, Outcome, Report
from broker.contract.topics import CLOUD, WEIGHTS, Weight
from broker.engines.memory import MemoryEngine
from fog_node.dispatcher import Dispatcher
from fog_node.intake.acceptance import Acceptance
from fog_node.intake.firings import Firings
from fog_node.intake.submissions import Intake
from fog_node.jobs.books import Bookkeeper
from fog_node.jobs.job import Job
from fog_node.jobs.limits import DeviceLimits
from fog_node.jobs.open_jobs import OpenJobs
from fog_node.journal.journal import Journal
from fog_node.placement.board import Board
from fog_node.placement.estimates import Estimates
from fog_node.placement.experience import Experience
from fog_node.placement.here import Here
from fog_node.placement.placer import Placer
from fog_node.placement.policies.deadline import Deadline
from fog_node.placement.policies.situation import Decision, Policy, Work
from fog_node.placement.surroundings import Surroundings
from fog_node.replies.endings import Endings as JournalEndings
from fog_node.replies.progress import ProgressTeller
from fog_node.replies.replies import Replies
from fog_node.routing.destinations import Destinations
from fog_node.routing.listener import Listener
from fog_node.routing.router import Router
from fog_node.rules.reading import read_rules
from fog_node.rules.rulebook import Rulebook
from fog_node.scatter.scatter import Scatter
from fog_tasks.builtin import echo, sleep, total
from fog_tasks.declaration.registry import Registry
from fog_tasks.declaration.task import Task, task
from fog_tasks.reporting.reports import Done, JobReport
from tests.support import seams

NODE = "fog-a"


def deal(arguments: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Divide numbers into `count` parts."""
    return [{"numbers": arguments["numbers"][start::count]} for start in range(count)]


@task(weight="medium", timeout=30, split=deal, merge=sum)
def add(numbers: list[int]) -> int:
    """Add numbers, in parts if that pays."""
    return sum(numbers)


class Deciding:
    """What decides in a node, on a clock of the test's own: places, routes, listens and scatters.

    Its neighbours and its cloud can be reached, and have said that they are idle.
    """

    def __init__(
        self,
        endings: Any = None,
        progress: Any = None,
        *,
        slots: Mapping[Weight, int] | None = None,
        neighbours: Iterable[str] = (),
        cloud: bool = False,
        policy: Policy | None = None,
        tasks: Iterable[Task[..., Any]] = (echo, sleep, total, add),
        now: float = 0.0,
    ) -> None:
        self.endings = seams.Endings() if endings is None else endings
        self.progress = seams.Progress() if progress is None else progress
        of = dict.fromkeys(WEIGHTS, 2) if slots is None else slots
        self.queues = seams.Queues({weight: seams.idle(count) for weight, count in of.items()})
        self.workers, self.mesh = seams.Workers(), seams.Mesh(*neighbours)
        self.cloud = seams.HandOffs(CLOUD) if cloud else None
        self.registry, self.estimates = Registry(tasks), Estimates()
        self.known = Surroundings(node=NODE, estimates=self.estimates, board=Board(), has_cloud=cloud)
        self.here = Here(self.queues, self.estimates, self.registry.timeout)
        self.noted: list[tuple[Job, Work, Decision]] = []
        self.listener: Listener[Any] = Listener(
            NODE,
            here=self.here,
            experience=Experience(self.known),
            endings=self.endings,
            progress=self.progress,
        )
        self.placer = Placer(
            Deadline() if policy is None else policy,
            here=self.here,
            known=self.known,
            neighbours=self.mesh,
            cloud=self.cloud,
            chance=random.Random(1),
            note=lambda *decided: self.noted.append(decided),
        )
        self.destinations = Destinations(
            self.placer, self.listener, self.progress, workers=self.workers, mesh=self.mesh, cloud=self.cloud
        )
        self.scatter = Scatter(
            NODE,
            self.registry,
            self.placer,
            destinations=self.destinations,
            listener=self.listener,
            progress=self.progress,
            chance=random.Random(2),
        )
        self.router = Router(
            self.placer, self.listener, self.progress, destinations=self.destinations, scatter=self.scatter
        )
        self.listener.onward = self.router
        for name in neighbours:
            self.hear(name, now=now)
        if cloud:
            self.hear("gate", now=now)

    def hear(self, node: str, *, slots: int = 2, wait: float = 0.0, now: float = 0.0) -> None:
        """Hear the state of a neighbour, or of the cloud's one gateway, `gate`."""
        load = dict.fromkeys(
            WEIGHTS, Load(queued=0, running=0, slots=slots, estimated_wait_ms=round(1e3 * wait, 3))
        )
        state = NodeState(node=node, online=True, version="", cloud=node == "gate", load=load)
        (self.known.cloud if state.cloud else self.known.board).hear(state, now)

    def busy(self, weight: Weight = Weight.MEDIUM, *, wait: float = 9.0) -> None:
        """Let a job of that weight wait here."""
        self.queues.of[weight] = seams.busy(self.queues.of[weight].slots, wait)

    def without_workers(self, weight: Weight = Weight.MEDIUM) -> None:
        """Have no workers for a weight."""
        self.queues.of.pop(weight, None)


class Centre:
    """A node's centre around a broker in memory and a real journal.

    Its workers answer every job with `1` at once, or hold it when `holding`. `limits` bounds devices,
    `most` the open jobs. Neighbours that are asked answer when the test says so.
    """

    def __init__(
        self,
        path: Path,
        journal: Journal,
        *,
        most: int = 100,
        limits: DeviceLimits | None = None,
        rules: Sequence[Mapping[str, Any]] = (),
        echoes: bool = False,
        shares: bool = False,
        **deciding: Any,
    ) -> None:
        self.path, self.holding, self.heard = path, False, list[Message]()
        self.books, self.engine, self.journal = Bookkeeper(), MemoryEngine(), journal
        self.jobs = OpenJobs(self.books, limits or DeviceLimits(rate=0, burst=1, open=0), most=most)
        self.replies = Replies(self.engine)
        self.endings = JournalEndings(self.journal, self.jobs, self.replies)
        progress = ProgressTeller(NODE, self.replies)
        self.deciding = Deciding(self.endings, progress, now=time.monotonic(), **deciding)
        self.deciding.workers.on_submit = self._run
        self.asked = seams.Asked()
        self.rulebook = Rulebook(read_rules(rules, source="rules.toml"), self.deciding.registry)
        self.acceptance = Acceptance(
            NODE,
            journal=self.journal,
            jobs=self.jobs,
            placer=self.deciding.placer,
            router=self.deciding.router,
            neighbours=self.asked,
            cloud=self.deciding.cloud,
            replies=self.replies,
            progress=progress,
            rulebook=self.rulebook,
        )
        self.intake = Intake(NODE, self.deciding.registry, max_payload=1000)
        self.firings = Firings(
            NODE,
            rulebook=self.rulebook,
            intake=self.intake,
            acceptance=self.acceptance,
            announce=lambda _: None,
            echoes=echoes,
            shares=shares,
        )
        self.replies.onward = self.firings
        self.dispatcher = Dispatcher(
            intake=self.intake,
            acceptance=self.acceptance,
            firings=self.firings,
            jobs=self.jobs,
            here=self.deciding.here,
            router=self.deciding.router,
            listener=self.deciding.listener,
            replies=self.replies,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, path: Path, **how: Any) -> AsyncIterator[Self]:
        """One that serves, on the journal at `path`."""
        async with Journal.opened(path) as journal:
            made = cls(path, journal, **how)
            topics = ["fog/tasks/#", "fog/cancel/#", f"fog/mesh/{NODE}/#", *made.rulebook.filters]
            await made.engine.start(made.dispatcher.receive, topics)
            made.engine.listen("fog/results/#", made.heard.append)
            yield made
            await made.engine.stop()

    def submit(self, topic: str, payload: bytes = b"[1]", **changes: Any) -> Any:
        """Publish as a device does; the answer is what its acknowledgement waits for."""
        return self.engine.deliver(Message(topic=topic, payload=payload, qos=1, **changes))

    def listen(self, filter: str) -> list[Message]:
        """What is published on topics that match a filter from now on."""
        heard: list[Message] = []
        self.engine.listen(filter, heard.append)
        return heard

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes that devices heard, in order."""
        return [msgspec.json.decode(one.payload, type=Outcome) for one in self.heard]

    def _run(self, job: Job) -> None:
        if not self.holding:
            # As from a worker: never while it is being given to one.
            asyncio.get_running_loop().call_soon(self.report, job, Done("t", b"1", 2.0))

    def report(self, job: Job, report: JobReport) -> None:
        """Let a worker tell what became of a job."""
        self.deciding.listener.reported(job, report, time.monotonic())

    def report_from(self, node: str, job: Job, report: Report) -> Any:
        """Let another node tell what became of a job that was handed to it."""
        return self.deciding.listener.reported_by_peer(job, report, seams.Teller(node), time.monotonic())

    def break_writes(self, statement: str) -> None:
        """Have the journal refuse every `INSERT` or `UPDATE` of a job from now on."""
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            other.execute(
                f"CREATE TRIGGER broken BEFORE {statement} ON jobs BEGIN SELECT RAISE(ABORT, 'no room'); END"
            )

    def mend_writes(self) -> None:
        """Have it take them again."""
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            other.execute("DROP TRIGGER broken")
