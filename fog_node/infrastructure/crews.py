"""The worker programs of a node: those that take what it sends, and others that finish what they have."""

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol

import structlog

from broker.contract.topics import Weight
from broker.programs.pid_file import PidFile
from broker.programs.processes import Supervisor, keep_all
from broker.programs.sockets import prepare_folder, socket_path
from fog_node.errors import StartError
from fog_node.infrastructure.services import save_snapshot
from fog_node.infrastructure.workers import worker_programs
from fog_node.settings import NodeSettings
from fog_tasks.reporting.reports import Finishing, Waiting
from fog_tasks.running.presence import BEGIN, FINISH
from fog_tasks.running.settings import WorkerSettings
from fog_tasks.task_files import TaskFiles
from fog_tasks.worker_names import crew_of

log = structlog.get_logger()

FAILED_STARTS = 5
"""Times that workers may end before the node has heard of any; a fault of the moment has passed by then."""

FINISH_TIMEOUT = 10.0
"""Seconds in which workers say that they take no more messages; one that has lost Redis looks for it first.
Those that do not hang, and are ended: what they ran runs again."""

_SOCKETS_OF_TASKS = 25
"""Bytes to leave: Python's `multiprocessing` has sockets in the folder for temporary files, and their names
take 32, some of which are what paths may be longer."""


class Bereaved(Protocol):
    """Whoever has given work to programs that may end."""

    def workers_gone(self, weight: Weight, crew: str, *, unread: bool) -> None:
        """The workers of one weight and crew have ended unasked; with `unread`, messages were on the way."""


@dataclass(slots=True, eq=False)
class Crew:
    """The workers that were started together, and run one version of the tasks; one program for each weight.

    `waiting` have said that they are up, `finishing` that they take no more messages, `ended` were ended by
    nobody. A crew is `relieved` when another has taken its place.
    """

    name: str
    snapshot: Path
    keepers: Mapping[Weight, Supervisor] = field(default_factory=dict)
    waiting: set[Weight] = field(default_factory=set)
    finishing: set[Weight] = field(default_factory=set)
    ended: set[Weight] = field(default_factory=set)
    relieved: bool = False
    keeping: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether all are there."""
        return self.waiting >= self.keepers.keys()

    @property
    def hanging(self) -> set[Weight]:
        """Those that may still take messages."""
        return set(self.keepers) - self.finishing - self.ended


class Crews:
    """Starts and keeps a node's workers.

    The crew on duty takes what the node sends. A new one waits until it takes the place of that, which then
    runs what it has, and ends. `bereaved` is told when workers end unasked.
    """

    def __init__(self, settings: NodeSettings, pid_file: PidFile, redis_url: str) -> None:
        self._pid_file = pid_file
        self._redis_url = redis_url
        self._folder = settings.folder.absolute()
        self._scratch = _fresh_folder(socket_path(settings.folder, "tmp", room=_SOCKETS_OF_TASKS))
        for left in self._folder.glob("tasks-*.snapshot"):
            left.unlink(missing_ok=True)
        self._crews: dict[str, Crew] = {}
        self._on_duty = Crew("", self._folder)
        self.bereaved: Bereaved | None = None
        self._news = asyncio.Event()
        self._group = asyncio.TaskGroup()

    async def run(self, settings: NodeSettings, files: TaskFiles) -> NoReturn:
        """Start the first crew, and keep all until cancelled; then end them."""
        async with self._group:
            self.put_on_duty(self.start(settings, files))
            await asyncio.Event().wait()
        raise AssertionError("it waits until it is cancelled")

    def start(self, settings: NodeSettings, files: TaskFiles) -> Crew:
        """Start a crew with `files` as they were read; it waits. For as long as `run` runs."""
        name = secrets.token_hex(4)
        snapshot = self._folder / ("tasks.snapshot" if not self._crews else f"tasks-{name}.snapshot")
        common = WorkerSettings(
            node=settings.name,
            redis_url=self._redis_url,
            tasks=settings.tasks,
            snapshot=save_snapshot(files, snapshot),
            crew=name,
            waits=True,
            memory=settings.task_memory,
            cpu=settings.task_cpu,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )
        crew = self._crews[name] = Crew(name, snapshot)
        on_exit = partial(self._ended, crew)
        programs = worker_programs(common, settings.workers, self._scratch, on_exit=on_exit)
        crew.keepers = {weight: Supervisor(program, self._pid_file) for weight, program in programs.items()}
        crew.keeping = self._group.create_task(self._keep(crew), name=f"workers {name}")
        return crew

    async def up(self, crew: Crew) -> None:
        """Return once all of a new crew are there. Raises StartError if one of them ends instead."""
        while not crew.up:
            if crew.ended:
                ended = ", ".join(sorted(crew.ended))
                raise StartError(f"the new {ended} workers end before they answer; the log says why")
            await self._heard()

    async def drop(self, crew: Crew) -> None:
        """End a crew that has not been on duty."""
        assert crew.keeping is not None
        crew.keeping.cancel()
        await asyncio.wait({crew.keeping})

    async def relieve(self) -> None:
        """Have the crew on duty take no more messages, and end when it has run what it has."""
        crew = self._on_duty
        crew.relieved = True
        for keeper in crew.keepers.values():
            keeper.let_go(FINISH)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_TIMEOUT):
                while crew.hanging:
                    await self._heard()
        for weight in crew.hanging:
            log.warning("workers_hang", weight=weight, next_step="they are ended; what they ran runs again")
            crew.keepers[weight].restart()

    def put_on_duty(self, crew: Crew) -> None:
        """Have this crew take messages from now on."""
        self._on_duty = crew
        for weight in crew.waiting:
            crew.keepers[weight].signal(BEGIN)

    def hear(self, report: Waiting | Finishing) -> None:
        """Hear what a worker of whatever node says of itself."""
        crew, weight = self._crews.get(crew_of(report.worker)), Weight(report.weight)
        if crew is None:
            return
        if isinstance(report, Finishing):
            crew.finishing.add(weight)
        else:
            crew.waiting.add(weight)
            crew.ended.discard(weight)
            # What was started again meanwhile.
            if crew.relieved:
                crew.keepers[weight].let_go(FINISH)
            elif crew is self._on_duty:
                crew.keepers[weight].signal(BEGIN)
        self._news.set()

    def restart(self, weight: Weight) -> None:
        """End the workers of one weight, which are then started anew: they have stopped consuming."""
        keeper = self._on_duty.keepers.get(weight)
        if keeper is not None:
            keeper.restart()

    @property
    def fail(self) -> bool:
        """Whether the workers of a weight have ended so often that they will not come up."""
        return any(keeper.restarts >= FAILED_STARTS for keeper in self._on_duty.keepers.values())

    async def _keep(self, crew: Crew) -> None:
        try:
            await keep_all(crew.keepers.values())
        except* OSError as faults:
            if crew is self._on_duty:
                raise
            log.error("workers_not_started", reason=str(faults.exceptions[0]))
            crew.ended.update(crew.keepers)
            self._news.set()
        finally:
            # What a worker runs may load it once more, to start a process.
            with contextlib.suppress(OSError):
                crew.snapshot.unlink()
            del self._crews[crew.name]

    def _ended(self, crew: Crew, weight: Weight) -> None:
        crew.ended.add(weight)
        crew.waiting.discard(weight)
        if self.bereaved is not None:
            self.bereaved.workers_gone(weight, crew.name, unread=weight not in crew.finishing)
        self._news.set()

    async def _heard(self) -> None:
        self._news.clear()
        await self._news.wait()


def _fresh_folder(path: Path) -> Path:
    """Make a folder, empty of what an earlier life left in it. Raises SettingsError."""
    prepare_folder(path)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path
