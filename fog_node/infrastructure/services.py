"""What a node needs running beside it: its data folder to itself, and Redis."""

import asyncio
import contextlib
import fcntl
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import structlog

from broker.programs.pid_file import PidFile
from broker.programs.processes import ProgramSpec, Supervisor
from fog_node.errors import RedisAway, StartError
from fog_node.infrastructure.background import Background
from fog_node.infrastructure.redis_log import pass_on
from fog_node.infrastructure.redis_server import find_server, ping, private_command, redis_socket
from fog_node.settings import NodeSettings
from fog_tasks.redis_url import redis_url, socket_url
from fog_tasks.task_files import TaskFiles

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


class Bereaved(Protocol):
    """Whoever has put something into Redis."""

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
    """Starts and keeps a node's Redis, as a background task of the node."""

    def __init__(self, settings: NodeSettings, background: Background, pid_file: PidFile) -> None:
        self._settings = settings
        self._background = background
        self._pid_file = pid_file
        if settings.redis is None:
            self._redis_url = socket_url(redis_socket(settings.folder))
        else:
            self._redis_url = redis_url(settings.redis, settings.tls_files())
        self.bereaved: Bereaved | None = None
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

    def _redis_ended(self) -> None:
        if self.bereaved is not None:
            self.bereaved.redis_gone()

    async def _redis_answers(self) -> None:
        deadline = time.monotonic() + REDIS_TIMEOUT
        while True:
            try:
                return await ping(self._redis_url)
            except RedisAway as fault:
                if time.monotonic() > deadline:
                    raise StartError(f"for {REDIS_TIMEOUT:g} s {fault}") from fault
                await asyncio.sleep(REDIS_PING_PAUSE)
