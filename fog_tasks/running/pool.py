"""The processes of a worker: what a task starts ends with it, however the task ends (on Linux).

A process that dies leaves what it has started to the worker, which kills that. If a task ends by itself and
leaves processes behind, its own process gives them a moment, kills them and is replaced: whatever else
belongs to them, such as the threads of a pool, ends with it.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Collection
from multiprocessing.process import BaseProcess
from typing import Any

import psutil
import structlog
from billiard.pool import EX_RECYCLE
from celery.concurrency.asynpool import AsynPool, Worker
from celery.concurrency.prefork import TaskPool

from broker.programs.guard import adopt_orphans

log = structlog.get_logger()

_HANDLED = (
    *(signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGALRM, signal.SIGPROF),
)
"""What Celery and limits.py have handlers for."""

GRACE = 1.0
"""Seconds in which what a task has left behind may end by itself: a pool that is being closed, a program that
sends a message. Meanwhile its process takes no other task."""

ROUNDS = 100
"""How often children are looked for: those of a child that was killed come to light after it."""

KILL_TIMEOUT = 1.0
"""Seconds in which a process that was killed is gone, unless it waits for a disk that does not answer."""


class _Process(Worker):
    wait_for_job: Callable[[], Any]

    def on_loop_start(self, pid: int) -> None:
        # What a task's process leaves behind, as daemons do, becomes a child of this one.
        adopt_orphans()
        _let_tasks_fork()
        _let_forks_end()
        wait = self.wait_for_job

        def wait_for_job() -> Any:
            if _has_children() and _are_left():
                _end_descendants()
                # The reports and the result of the last message have been written.
                os._exit(EX_RECYCLE)
            return wait()

        self.wait_for_job = wait_for_job
        super().on_loop_start(pid)


class _Processes(AsynPool):
    Worker = _Process
    _pool: list[Any]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        # What the user's modules have started when they were imported.
        self._imported = frozenset(one.pid for one in psutil.Process().children())
        adopt_orphans()
        super().__init__(*arguments, **named)

    def maintain_pool(self) -> None:
        before = self._pids()
        super().maintain_pool()
        if before - self._pids():
            _end_descendants(self._imported | self._pids())

    def _pids(self) -> set[int]:
        return {process.pid for process in self._pool}


def pool_of(on_loop: Callable[[Any], None], on_start: Callable[[], None]) -> type[TaskPool]:
    """Celery's pool of processes, with ours.

    `on_loop` is given the worker's event loop, and again after each loss of Redis: then it has forgotten all.
    Each process calls `on_start` once Celery has set its own signals.
    """

    class Process(_Process):
        def on_loop_start(self, pid: int) -> None:
            on_start()
            super().on_loop_start(pid)

    class Processes(_Processes):
        Worker = Process

    class Pool(TaskPool):
        Pool = Processes

        def register_with_event_loop(self, loop: Any) -> None:
            super().register_with_event_loop(loop)
            on_loop(loop)

    return Pool


def _let_tasks_fork() -> None:
    """Let tasks start processes with Python's multiprocessing, to which Celery's are processes of its own."""
    own: Any = multiprocessing.current_process()
    python: Any = BaseProcess
    # Python lets none start others that is to end with its parent. What tasks start is ended here.
    own.daemon = False
    # A key of Celery's class cannot be given to a new interpreter.
    python.authkey.fset(own, own.authkey)


def _let_forks_end() -> None:
    """Let what a task forks end at once when it is told to, as every process does, and not as Celery's do.

    A pool of processes waits for that. It may tell them as soon as they are forked.
    """
    kept = threading.local()

    def before() -> None:
        kept.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)

    def after() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, kept.mask)

    def after_in_child() -> None:
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
        after()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after_in_child)


def _has_children() -> bool:
    """Whether this process has children that live; it buries the others. Every message pays for this."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _are_left() -> bool:
    """Whether children still live when they have had time to end."""
    give_up = time.monotonic() + GRACE
    while left := _has_children():
        if time.monotonic() > give_up:
            break
        time.sleep(GRACE / 100)
    return left


def _end_descendants(keep: Collection[int] = ()) -> None:
    """Kill the children of this process, but for those to `keep`, and then theirs, which it has adopted."""
    own, ended = psutil.Process(), []
    for _ in range(ROUNDS):
        children = [one for one in own.children() if one.pid not in keep]
        if not children:
            break
        for one in children:
            with contextlib.suppress(psutil.Error):
                if one.status() != psutil.STATUS_ZOMBIE:
                    ended.append(one.name())
                    one.kill()
        for one in children:
            with contextlib.suppress(psutil.Error):
                one.wait(KILL_TIMEOUT)
    if ended:
        log.info("descendants_ended", programs=ended)
