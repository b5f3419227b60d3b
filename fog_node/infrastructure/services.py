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

import redis.asyncio
import redis.exceptions
import structlog

from broker.contract.topics import Weight
from broker.contract.url import hide_password
from broker.programs.pid_file import PidFile
from broker.programs.processes import ProgramSpec, Supervisor, keep_all
from fog_node.errors import StartError
from fog_node.infrastructure.background import Background
from fog_node.infrastructure.redis_server import find_server, private_command, redis_socket
from fog_node.infrastructure.workers import worker_programs
from fog_node.settings import NodeSettings
from fog_tasks.running.settings import WorkerSettings

log = structlog.get_logger()

REDIS_TIMEOUT = 10.0
REDIS_PING_PAUSE = 0.02
"""Seconds between two attempts to reach a Redis that is starting: it tells nobody when it is ready."""


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
    """Make a folder, empty of what an earlier life left in it."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path.absolute()


class Bereaved(Protocol):
    """Whoever has given work to programs that may end."""

    def workers_gone(self, weight: Weight) -> None:
        """The workers of one weight have ended unasked."""

    def redis_gone(self) -> None:
        """Redis has ended unasked, with all that it held."""


class Infrastructure:
    """Starts and keeps a node's Redis and workers, as background tasks of the node."""

    def __init__(self, settings: NodeSettings, background: Background, pid_file: PidFile) -> None:
        self._settings = settings
        self._background = background
        self._pid_file = pid_file
        self._redis_url = settings.redis or f"unix://{redis_socket(settings.folder)}"
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
                name="redis", command=command, on_exit=self._redis_ended, stop=signal.SIGKILL
            )
            self._background.start(Supervisor(program, self._pid_file).run(), name="redis")
        await self._background.watch(self._redis_answers())
        return self._redis_url

    def start_workers(self, bereaved: Bereaved) -> None:
        """Start the workers; `bereaved` is told when they, or Redis, end unasked."""
        self._bereaved = bereaved
        common = WorkerSettings(
            node=self._settings.name,
            redis_url=self._redis_url,
            tasks=self._settings.tasks,
            memory=self._settings.task_memory,
            cpu=self._settings.task_cpu,
            log_level=self._settings.log_level,
            log_format=self._settings.log_format,
        )
        scratch = fresh_folder(self._settings.folder / "tmp")
        programs = worker_programs(common, self._settings.workers, scratch, on_exit=bereaved.workers_gone)
        self._keepers = {weight: Supervisor(program, self._pid_file) for weight, program in programs.items()}
        self._background.start(keep_all(self._keepers.values()), name="workers")

    def restart_workers(self, weight: Weight) -> None:
        """End the workers of one weight, which are then started anew: they have stopped consuming."""
        supervisor = self._keepers.get(weight)
        if supervisor is not None:
            supervisor.restart()

    def _redis_ended(self) -> None:
        if self._bereaved is not None:
            self._bereaved.redis_gone()

    async def _redis_answers(self) -> None:
        place = hide_password(self._redis_url)
        deadline = time.monotonic() + REDIS_TIMEOUT
        async with redis.asyncio.Redis.from_url(self._redis_url, socket_timeout=2.0) as client:
            while True:
                try:
                    await client.ping()
                except redis.exceptions.AuthenticationError as fault:
                    raise StartError(f"Redis at {place} refuses us: {fault}") from fault
                except (redis.exceptions.RedisError, OSError) as fault:
                    if time.monotonic() > deadline:
                        raise StartError(
                            f"Redis at {place} did not answer within {REDIS_TIMEOUT:g} s: {fault}"
                        ) from fault
                    await asyncio.sleep(REDIS_PING_PAUSE)
                else:
                    return
