"""Processes that a measurement starts: they end with it, whatever happens."""

import asyncio
import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.contestants.settings import PROCESSES
from benchmarks.errors import BenchmarkFailed
from broker.programs import guard
from fog_node.infrastructure.redis_server import find_server, private_command, redis_socket
from fog_tasks.redis_url import celery_url

START_TIMEOUT = 30.0
_STOP_TIMEOUT = 10.0


@contextlib.contextmanager
def child(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, says_ready: bool = False
) -> Iterator[psutil.Process]:
    """A process, once it has said `ready` if it is one that does; ended with all that it started."""
    guarded = (sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), "", *command)
    process = subprocess.Popen(
        guarded,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if says_ready else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if says_ready:
            _wait_ready(process)
        yield psutil.Process(process.pid)
    finally:
        _end(process)


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of ours."""
    return (sys.executable, "-m", module, *arguments)


@contextlib.contextmanager
def private_redis(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A Redis set up as a node sets up its own; gives its URL as kombu spells it."""
    folder.mkdir(parents=True, exist_ok=True)
    socket = redis_socket(folder)
    with child(private_command(find_server(), folder, socket)) as process:
        give_up = time.monotonic() + START_TIMEOUT
        while not socket.exists():
            if time.monotonic() > give_up:
                raise BenchmarkFailed("redis-server did not start")
            time.sleep(0.01)
        yield celery_url(f"unix://{socket}"), process


def celery_worker(application: str, options: Sequence[str]) -> tuple[str, ...]:
    """The command that runs Celery's own worker program."""
    return (sys.executable, "-m", "celery", "-A", application, "worker", *options)


async def worker_started(worker: psutil.Process) -> None:
    """Return once a Celery worker has all its processes."""
    async with asyncio.timeout(START_TIMEOUT):
        # Celery says it nowhere but in its log.
        while len(worker.children(recursive=True)) < PROCESSES:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _wait_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_TIMEOUT) or process.stdout.readline().strip() != b"ready":
            raise BenchmarkFailed(f"{process.args!r} was not ready in {START_TIMEOUT:g} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_TIMEOUT)
        process.kill()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
