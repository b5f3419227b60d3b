"""What a node needs running beside it: Redis and the workers."""

import asyncio
import contextlib
import fcntl
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import structlog

from broker.contract.topics import Weight
from broker.programs.pid_file import PidFile
from broker.programs.processes import ProgramSpec, Supervisor, keep_all
from broker.programs.sockets import prepare_folder, socket_path
from fog_node.errors import RedisAway, StartError
from fog_node.infrastructure.background import Background
from fog_node.infrastructure.redis_log import pass_on
from fog_node.infrastructure.redis_server import find_server, ping, private_command, redis_socket
from fog_node.infrastructure.workers import worker_programs
from fog_node.settings import NodeSettings
from fog_tasks.redis_url import redis_url, socket_url
from fog_tasks.running.settings import WorkerSettings
from fog_tasks.task_files import TaskFiles

log = structlog.get_logger()

REDIS_TIMEOUT = 10.0
REDIS_PING_PAUSE = 0.02
"""Seconds between two attempts to reach a Redis that is starting: it tells nobody when it is ready."""

_SOCKETS_OF_TASKS = 25
"""Bytes to leave: Python's `multiprocessing` has sockets in the folder for temporary files, and their names
take 32, some of which are what paths may be longer."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a data folder for one node alone. Raises StartError where another one has it."""
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = stack.enter_context((folder / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"another node uses the data folder {folder}; give this one its own with --data"
            ) from None
        except OSError as fault:
            raise StartError(f"the data folder {folder} cannot be used: {fault}") from fault
        yield


def fresh_folder(path: Path) -> Path:
    """Make a folder, empty of what an earlier life left in it. Raises SettingsError."""
    prepare_folder(path)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


FAILED_STARTS = 5
"""Times that workers may end before the node has heard of any; a fault of the moment has passed by then."""


class Bereaved(Protocol):
    """Whoever has given work to programs that may end."""

    def workers_gone(self, weight: Weight) -> None:
        """The workers of one weight have ended unasked."""

    def redis_gone(self) -> None:
        """Redis has ended unasked, with all that it held."""


def save_snapshot(files: TaskFiles, path: Path) -> str:
    """Write what the node has read of the task files, for other programs; return where, or nothing."""
    try:
        files.save(path.absolute())
    except OSError as fault:
        log.warning("tasks_not_kept", reason=str(fault), next_step="workers read the task files themselves")
        return ""
    return str(path.absolute())


class Infrastructure:
    """Starts and keeps a node's Redis and workers, as background tasks of the node."""

    def __init__(self, settings: NodeSettings, background: Background, pid_file: PidFile) -> None:
        self._settings = settings
        self._background = background
        self._pid_file = pid_file
        if settings.redis is None:
            self._redis_url = socket_url(redis_socket(settings.folder))
        else:
            self._redis_url = redis_url(settings.redis, settings.tls_files())
        self._keepers: dict[Weight, Supervisor] = {}
        self._bereaved: Bereaved | None = None
        if pid_file.copied_from is not None:
            log.warning(
                "data_folder_copied",
                folder=str(settings.folder),
                copied_from=pid_file.copied_from,
                next_step="tasks that were open there run here too; two nodes at once need two names",
            )
        left = pid_file.end_leftovers()
        if left:
            log.warning("leftovers_ended", programs=left)

    async def start_redis(self) -> str:
        """Start a private Redis unless one is given; return its URL once it answers. Raises StartError."""
        if self._settings.redis is None:
            socket = redis_socket(self._settings.folder)
            command = private_command(find_server(), self._settings.folder, socket)
            socket.unlink(missing_ok=True)
            # It has nothing to write down, and would end itself at any of the signals that it knows.
            program = ProgramSpec(
                name="redis",
                command=command,
                on_exit=self._redis_ended,
                on_lines=pass_on,
                stop=signal.SIGKILL,
            )
            self._background.start(Supervisor(program, self._pid_file).run(), name="redis")
        await self._background.watch(self._redis_answers())
        return self._redis_url

    def start_workers(self, bereaved: Bereaved, files: TaskFiles) -> None:
        """Start the workers, with `files` as they were read.

        `bereaved` is told when they, or Redis, end unasked.
        """
        self._bereaved = bereaved
        common = WorkerSettings(
            node=self._settings.name,
            redis_url=self._redis_url,
            tasks=self._settings.tasks,
            snapshot=save_snapshot(files, self._settings.folder / "tasks.snapshot"),
            memory=self._settings.task_memory,
            cpu=self._settings.task_cpu,
            log_level=self._settings.log_level,
            log_format=self._settings.log_format,
        )
        scratch = fresh_folder(socket_path(self._settings.folder, "tmp", room=_SOCKETS_OF_TASKS))
        programs = worker_programs(common, self._settings.workers, scratch, on_exit=bereaved.workers_gone)
        self._keepers = {weight: Supervisor(program, self._pid_file) for weight, program in programs.items()}
        self._background.start(keep_all(self._keepers.values()), name="workers")

    @property
    def workers_fail(self) -> bool:
        """Whether the workers of a weight have ended so often that they will not come up."""
        return any(supervisor.restarts >= FAILED_STARTS for supervisor in self._keepers.values())

    def restart_workers(self, weight: Weight) -> None:
        """End the workers of one weight, which are then started anew: they have stopped consuming."""
        supervisor = self._keepers.get(weight)
        if supervisor is not None:
            supervisor.restart()

    def _redis_ended(self) -> None:
        if self._bereaved is not None:
            self._bereaved.redis_gone()

    async def _redis_answers(self) -> None:
        deadline = time.monotonic() + REDIS_TIMEOUT
        while True:
            try:
                return await ping(self._redis_url)
            except RedisAway as fault:
                if time.monotonic() > deadline:
                    raise StartError(f"for {REDIS_TIMEOUT:g} s {fault}") from fault
                await asyncio.sleep(REDIS_PING_PAUSE)
