"""Runs a node as a program: logs, signals, the ready line, exit status. The cloud node runs the same way."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from functools import partial

import structlog

from broker.errors import WeighbridgeError
from broker.programs.logs import end_with, log_prints, set_up_logs
from broker.programs.stop_signals import has_terminal, on_stop_signals
from broker.programs.streams import unfailing
from fog_node.node import Node, Orders
from fog_node.reloading import Work
from fog_node.rule_loading import load_rules
from fog_node.settings import NodeSettings
from fog_node.topology import Topology
from fog_tasks.loading import load
from fog_tasks.task_files import TaskFiles

if sys.platform == "win32":
    from asyncio import run
else:
    from uvloop import run

log = structlog.get_logger()

COLLECTIONS = (20_000, 20, 50)
"""New objects until the collector looks at them, and how often it does so before it looks at older ones."""


def run_node(settings: NodeSettings, topology: Topology, read_settings: Callable[[], NodeSettings]) -> None:
    """Run a node until SIGTERM or Ctrl-C; exits with status 1 and a sentence where it cannot start.

    The first signal drains the node, the second ends the drain. At SIGHUP it reads its settings again, by
    `read_settings`, and its tasks; until it is ready, and when its terminal has been closed, it stops.
    """
    set_up_logs(level=settings.log_level, format=settings.log_format, program=settings.name)
    log_prints()
    # Until the loop hears signals: the user's modules are imported before, which may take a minute.
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Ignored is what nohup asks for.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        settings.check_ports()
        files = TaskFiles()
        registry = load(settings.tasks, files, settings.application())
        rulebook = load_rules(settings, registry)
        node = Node(settings, topology, Work(files, registry, rulebook), read_settings=read_settings)
        run(_run(node, settings.name))
    except KeyboardInterrupt:
        log.info("stopped_before_ready")
    except WeighbridgeError as fault:
        end_with(fault, settings.log_format)


async def _run(node: Node, name: str) -> None:
    orders = Orders()
    serving = asyncio.current_task()
    assert serving is not None
    ready = False

    def told(event: asyncio.Event, _: signal.Signals) -> None:
        if ready:
            event.set()
        else:
            serving.cancel()

    def on_ready(url: str) -> None:
        nonlocal ready
        ready = True
        # What there is now stays: the collector need not look through it again and again, nor after every
        # few hundred objects, of which a task under way is a dozen.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTIONS)
        unfailing(1).write(f"ready {name} {url}\n")

    terminal = has_terminal()

    def reload() -> bool:
        if not ready or (terminal and not has_terminal()):
            return False
        orders.reload.set()
        return True

    on_stop_signals(partial(told, orders.stop), partial(told, orders.now), on_hangup=reload)
    try:
        drained = await node.run(orders, on_ready=on_ready)
    except asyncio.CancelledError:
        log.info("stopped_before_ready")
        return
    log.info("stopped", finished=drained.finished, journaled=drained.journaled)
