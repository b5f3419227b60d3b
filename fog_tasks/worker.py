"""The program of a Celery worker for the tasks of one weight: `python -m fog_tasks.worker`.

A node starts and watches its workers; `cloud-node worker` does so on further machines.
"""

import contextlib
import functools
import logging
import os
import resource
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

from celery import Celery, signals
from celery.apps import worker as worker_program
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from celery.utils.log import current_process_index  # type: ignore[attr-defined]  # its stubs lack it
from celery.worker import state
from celery.worker.consumer.control import Control

from broker.errors import WeighbridgeError
from broker.programs.guard import die_with_parent
from broker.programs.logs import end_with, set_up_logs
from fog_tasks.declaration.registry import Registry
from fog_tasks.loading import load
from fog_tasks.reporting.channel import ReportChannel
from fog_tasks.reporting.report_buffers import ReportBuffers
from fog_tasks.reporting.reports import Hello, is_stream, stream_name
from fog_tasks.running.app import make_app, queue_name
from fog_tasks.running.execution import unknown_task
from fog_tasks.running.output import TaskOutput
from fog_tasks.running.pool import pool_of
from fog_tasks.running.presence import Presence, hear_signals
from fog_tasks.running.settings import WorkerSettings
from fog_tasks.running.stopping import Stopping
from fog_tasks.task_files import TaskFiles
from fog_tasks.versions import digests
from fog_tasks.worker_names import worker_name

HELLO_INTERVAL = 1.0
"""Seconds between two signs of life."""

REAP_INTERVAL = 0.25
"""Seconds between two looks for processes that have died. Celery looks every five seconds: if the time of a
task is up by then, it would be reported as too slow, although its process was killed."""


def main() -> None:
    """Run a worker until its node tells it to stop, and let it finish what it runs."""
    settings = WorkerSettings.of_environment()
    output = TaskOutput(settings.slots)
    set_up_logs(
        level=settings.log_level,
        format=settings.log_format,
        program=f"worker {settings.weight}",
        about=output.about,
    )
    # For those who use Celery's logger for tasks, which belongs to Celery's own.
    logging.getLogger("celery.task").setLevel(settings.log_level.upper())
    output.capture()
    try:
        registry, files = _load(settings)
    except WeighbridgeError as fault:
        end_with(fault, settings.log_format)
    cpu, buffers = settings.cpu or None, ReportBuffers(settings.slots)
    stopping = Stopping()
    app = make_app(
        settings.redis_url,
        node=settings.node,
        registry=registry,
        cpu=cpu,
        buffers=buffers,
        output=output,
        stopping=stopping,
    )
    name = worker_name(settings.weight, settings.crew)
    queue, reports = queue_name(settings.node, settings.weight), ReportChannel(settings.redis_url)
    presence = Presence(
        Hello(name, settings.weight, settings.slots, digests(files)),
        reports,
        stream=stream_name(settings.node),
        queue=queue,
        waits=settings.waits,
    )
    _connect_signals(app, name, presence, reports, output=output, stopping=stopping)
    if settings.memory:
        signals.worker_process_init.connect(functools.partial(_bound_memory, settings.memory), weak=False)
    # It tells the terminal that it was told to stop, beside all logs.
    worker_program.safe_say = lambda *_: None  # type: ignore[attr-defined]  # its stubs lack it
    # Celery warns a worker that runs as root, because of pickles. This application refuses them.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = app.Worker(
        hostname=name,
        queues=[queue],
        exclude_queues=[queue] if settings.waits else [],
        concurrency=settings.slots,
        pool=pool_of(output.watch, stopping.guard_child),
        loglevel=logging.WARNING,
        without_gossip=True,
        without_mingle=True,
        optimization="fair",
        quiet=True,
    )
    # Celery asks for these as it sets up a worker. One is of late acknowledgements, which are off, whenever
    # a connection is lost.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    worker.start()
    sys.exit(worker.exitcode)


def _load(settings: WorkerSettings) -> tuple[Registry, TaskFiles]:
    files = TaskFiles(Path(settings.snapshot) if settings.snapshot else None)
    return load(settings.tasks, files), files


def _bound_memory(mebibytes: int, **_: Any) -> None:
    """Let a task that asks for more memory get a MemoryError, before the whole machine has none left."""
    resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))


def _connect_signals(
    app: Celery,
    worker: str,
    presence: Presence,
    channel: ReportChannel,
    *,
    output: TaskOutput,
    stopping: Stopping,
) -> None:
    def keep_logs(**_: Any) -> None:
        """Keep Celery from setting up logs: it does not if this signal has a receiver."""

    def announce(sender: Any, **_: Any) -> None:
        # On the consumer's own timer: a consumer that hangs must fall silent.
        sender.timer.call_repeatedly(REAP_INTERVAL, sender.pool.maintain_pool)
        sender.timer.call_repeatedly(HELLO_INTERVAL, presence.say)
        presence.say()
        sender.timer.call_repeatedly(HELLO_INTERVAL, output.end_lines)
        sender.timer.call_repeatedly(REAP_INTERVAL, presence.leave, (functools.partial(leave, sender),))

    def leave(consumer: Any) -> None:
        output.end_lines()
        _end(consumer)

    # For as long as the worker lives: between two connections to Redis it has no loop that would keep them.
    readable, writable = socket.socketpair()
    for end in (readable, writable):
        end.setblocking(False)

    def heed_signals(sender: Any, **_: Any) -> None:
        stopping.guard_worker()
        hear_signals()
        # Celery sees that it is to stop when its loop turns next, which may be a second later.
        signal.set_wakeup_fd(writable.fileno(), warn_on_full_buffer=False)
        sender.hub.add_reader(readable, _signalled, sender, readable, presence)

    def set_up_child(**_: Any) -> None:
        die_with_parent(os.getppid())
        # Ctrl-C in a shell is for the node, which then stops its workers in order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        output.enter(current_process_index(base=0) or 0)

    def end_lines(**_: Any) -> None:
        # A process that has died said its last words in the name of its task; the next one has another.
        output.end_lines()

    def refuse(message: Any, name: str, id: str, **_: Any) -> None:
        reply_to = message.properties.get("reply_to")
        if is_stream(reply_to):
            channel.send(reply_to, unknown_task(id, name, worker))

    signals.setup_logging.connect(keep_logs, weak=False)
    signals.worker_ready.connect(heed_signals, weak=False)
    # After that: it says that the worker is ready to be told.
    signals.worker_ready.connect(announce, weak=False)
    signals.worker_before_create_process.connect(end_lines, weak=False)
    signals.worker_process_init.connect(set_up_child, weak=False)
    signals.task_unknown.connect(refuse, weak=False)
    app.finalize()


def _signalled(consumer: Any, readable: socket.socket, presence: Presence) -> None:
    """Look at a signal that came, between two events; a worker that has nothing to do ends at once.

    Celery would wait for each of its idle processes to wake up, which takes them a second. They end with this
    one, and there is nothing to give back: all reports are written when a task's message ends.
    """
    with contextlib.suppress(BlockingIOError):
        presence.hear(readable.recv(4096), consumer)
    stopping = state.should_stop is not None and state.should_stop is not False
    if stopping and not state.reserved_requests and not state.active_requests:
        _end(consumer)


def _end(consumer: Any) -> NoReturn:
    """End a worker that has nothing to do."""
    # Redis may outlive the worker, and is to forget its name.
    for step in consumer.steps:
        if isinstance(step, Control):
            step.stop(consumer)
    os._exit(0)


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":
    # A task has started a new interpreter for a pool, which is to find the functions beside the tasks.
    _load(WorkerSettings.of_environment())
