"""Tasks that start other processes, and may leave them behind."""

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from weighbridge import task

_kept: list[Any] = []


@task(timeout=0.5)
def shelling(seconds: str) -> None:
    """Wait for a shell, which takes longer than the task may."""
    os.system(f"sleep {seconds}; true")


@task(timeout=20)
def leaving_behind(seconds: str, end: str = "return") -> int:
    """Leave a program, one in a session of its own, and one whose parent has ended; then end in some way."""
    subprocess.Popen(["sleep", seconds])
    subprocess.Popen(["sleep", seconds], start_new_session=True)
    subprocess.run(["/bin/sh", "-c", f"setsid sleep {seconds} &"], check=True)
    match end:
        case "raise":
            raise ValueError(seconds)
        case "crash":
            os.abort()
        case "wait":
            time.sleep(600)
    return os.getpid()


@task
def unwaited() -> int:
    """Start a program that ends soon, and do not wait for it."""
    subprocess.Popen(["true"])
    return os.getpid()


@task
def whoami() -> int:
    """The process that runs it."""
    return os.getpid()


@task(timeout=20)
def told_to_end() -> list[int]:
    """Fork processes, and tell each at once to end; return by which signals they ended."""
    signals = []
    for _ in range(100):
        if (child := os.fork()) == 0:
            time.sleep(600)
        os.kill(child, signal.SIGTERM)
        signals.append(os.WTERMSIG(os.waitpid(child, 0)[1]))
    return signals


def square(number: int) -> tuple[int, int]:
    """What the pools compute, and in which process."""
    return number * number, os.getpid()


def closed_pool() -> Iterable[tuple[int, int]]:
    with multiprocessing.Pool(2) as pool:
        return pool.map(square, range(4))


def open_pool() -> Iterable[tuple[int, int]]:
    pool = multiprocessing.Pool(2)
    _kept.append(pool)
    return pool.map(square, range(4))


def closed_executor() -> Iterable[tuple[int, int]]:
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        return list(executor.map(square, range(4)))


def open_executor() -> Iterable[tuple[int, int]]:
    executor = concurrent.futures.ProcessPoolExecutor(2)
    _kept.append(executor)
    return list(executor.map(square, range(4)))


def spawned_pool() -> Iterable[tuple[int, int]]:
    """As on macOS: new interpreters, which import the tasks themselves."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return pool.map(square, range(4))


def manager() -> Iterator[tuple[int, int]]:
    shared = multiprocessing.Manager()
    _kept.append(shared)
    values = shared.list(range(4))
    process = multiprocessing.Process(target=values.reverse)
    process.start()
    process.join()
    return ((number * number, os.getppid()) for number in sorted(values))


POOLS: dict[str, Callable[[], Iterable[tuple[int, int]]]] = {
    one.__name__: one
    for one in (closed_pool, open_pool, closed_executor, open_executor, spawned_pool, manager)
}


@task(timeout=20)
def computing(pool: str) -> list[list[int]]:
    """Compute the same in one of the ways that Python has for several processes."""
    values, processes = zip(*POOLS[pool](), strict=True)
    children = [one.pid for one in multiprocessing.active_children()]
    return [list(values), [one for one in {*processes, *children} if one and one != os.getppid()]]
