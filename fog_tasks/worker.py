"""A Celery worker for the tasks of one weight, as a program: `python -m fog_tasks.worker`.

Nodes start and watch it themselves; `cloud-node worker` starts it on further machines.
"""

import argparse
import contextlib
import functools
import logging
import os
import resource
import signal
import socket
import sys
import warnings
from typing import Any

import structlog
from celery import Celery, signals
from celery.exceptions import SecurityWarning
from celery.worker import state

from broker.contract.topics import Weight
from broker.errors import WeighbridgeError
from broker.programs.guard import die_with_parent
from broker.programs.logs import LogFormat, LogLevel, set_up_logs
from fog_tasks.loading import load
from fog_tasks.reporting.channel import ReportChannel
from fog_tasks.reporting.report_buffers import ReportBuffers
from fog_tasks.reporting.reports import Hello, is_stream, stream_name
from fog_tasks.running.app import make_app, queue_name
from fog_tasks.running.execution import unknown_task

HELLO_INTERVAL = 1.0

REAP_INTERVAL = 0.25
"""Seconds between two looks for processes that have died. Celery looks every five by itself, and a task
whose time is up meanwhile would be told as too slow where its process was killed."""

log = structlog.get_logger()


def main(arguments: list[str] | None = None) -> None:
    """Run a worker until it is told to stop: SIGTERM lets it finish what it runs."""
    options = _parser().parse_args(arguments)
    set_up_logs(level=options.log_level, format=options.log_format, program=f"worker {options.weight}")
    try:
        registry = load(options.tasks)
    except WeighbridgeError as fault:
        sys.exit(str(fault))
    # A URL may hold a password, which must not stand in a process list: it comes by the environment.
    redis_url = os.environ["FOG_WORKER_REDIS"]
    buffers = ReportBuffers(options.slots)
    app = make_app(redis_url, node=options.node, registry=registry, cpu=options.cpu or None, buffers=buffers)
    name = f"{options.weight}-{os.getpid()}@{socket.gethostname()}"
    hello = Hello(name, options.weight, options.slots)
    _connect_signals(app, hello, ReportChannel(redis_url), stream_name(options.node))
    if options.memory:
        signals.worker_process_init.connect(functools.partial(_bound_memory, options.memory), weak=False)
    # Celery warns a worker that runs as root for fear of pickles, which this application refuses.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = app.Worker(
        hostname=name,
        queues=[queue_name(options.node, options.weight)],
        concurrency=options.slots,
        pool="prefork",
        loglevel=logging.WARNING,
        without_gossip=True,
        without_mingle=True,
        optimization="fair",
        quiet=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fog_tasks.worker", description=__doc__)
    parser.add_argument("--node", required=True, help="the node whose tasks to run")
    parser.add_argument("--weight", required=True, type=Weight, help="light, medium or heavy")
    parser.add_argument("--slots", type=int, default=1, help="how many tasks to run at once")
    parser.add_argument("--tasks", action="append", default=[], help="a file or a module of tasks")
    parser.add_argument("--memory", type=int, default=0, help="MiB a task's process may have; 0: any")
    parser.add_argument(
        "--cpu", type=float, default=0.0, help="seconds of processor time a task may use; 0: any"
    )
    parser.add_argument("--log-level", type=LogLevel, default=LogLevel.INFO)
    parser.add_argument("--log-format", type=LogFormat, default=LogFormat.AUTO)
    return parser


def _bound_memory(mebibytes: int, **_: Any) -> None:
    """Let a task that asks for more meet a MemoryError, and not the whole machine its end."""
    resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))


def _connect_signals(app: Celery, hello: Hello, channel: ReportChannel, stream: str) -> None:
    def keep_logs(**_: Any) -> None:
        """Keep Celery from setting up logs of its own: it does not where somebody listens here."""

    def announce(sender: Any, **_: Any) -> None:
        # On the consumer's own timer: a consumer that has stopped consuming falls silent.
        sender.timer.call_repeatedly(REAP_INTERVAL, sender.pool.maintain_pool)
        sender.timer.call_repeatedly(HELLO_INTERVAL, lambda: channel.send(stream, hello))
        channel.send(stream, hello)

    def hear_signals(sender: Any, **_: Any) -> None:
        # Celery sees that it is to stop when its loop turns next, which may be a second later.
        readable, writable = socket.socketpair()
        for end in (readable, writable):
            end.setblocking(False)
        signal.set_wakeup_fd(writable.fileno(), warn_on_full_buffer=False)
        sender.hub.add_reader(readable, _signalled, readable, writable)

    def set_up_child(**_: Any) -> None:
        die_with_parent(os.getppid())
        # A shell's Ctrl-C is for the node, which then ends its workers in good order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def refuse(message: Any, name: str, id: str, **_: Any) -> None:
        reply_to = message.properties.get("reply_to")
        if is_stream(reply_to):
            channel.send(reply_to, unknown_task(id, name, hello.worker))

    signals.setup_logging.connect(keep_logs, weak=False)
    signals.worker_ready.connect(announce, weak=False)
    signals.worker_ready.connect(hear_signals, weak=False)
    signals.worker_process_init.connect(set_up_child, weak=False)
    signals.task_unknown.connect(refuse, weak=False)
    app.finalize()


def _signalled(readable: socket.socket, _kept: socket.socket) -> None:
    """Look at a signal that came, between two events; a worker that has nothing to do ends at once.

    Celery would wait for each of its idle processes to wake up, which takes them a second. They end with this
    one, and there is nothing to give back: all reports are written when a task's message ends.
    """
    with contextlib.suppress(BlockingIOError):
        readable.recv(4096)
    stopping = state.should_stop is not None and state.should_stop is not False
    if stopping and not state.reserved_requests and not state.active_requests:
        os._exit(0)


if __name__ == "__main__":
    main()
