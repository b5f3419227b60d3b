"""The program of a door: `python -m fog_tasks.application.program`, started and watched by its node.

It stands beside the node, not in it: the application has Celery's globals for itself, and its client's work a
processor of its own. The main thread reads what the node says, and sends tasks; one thread hears results, one
looks for tasks of which nothing is heard, one tells the node.
"""

import os
import socket
import threading
from pathlib import Path

import structlog

from broker.errors import WeighbridgeError
from broker.programs.guard import die_with_parent
from broker.programs.logs import end_with, log_prints, set_up_logs
from fog_tasks.application.client import Client
from fog_tasks.application.finding import find
from fog_tasks.application.orders import HEADER, read_orders
from fog_tasks.application.settings import DoorSettings
from fog_tasks.application.telling import Telling
from fog_tasks.task_files import TaskFiles

log = structlog.get_logger()


def main() -> None:
    """Serve the node until it closes the connection."""
    die_with_parent(os.getppid())
    settings = DoorSettings.of_environment()
    set_up_logs(level=settings.log_level, format=settings.log_format, program="celery door")
    log_prints()
    try:
        files = TaskFiles(Path(settings.snapshot) if settings.snapshot else None)
        module = "" if settings.app is None else settings.app.partition(":")[0]
        files.install([Path.cwd()], [module] if module else [])
        app = find(settings.app, settings.broker, settings.backend)
    except WeighbridgeError as fault:
        end_with(fault, settings.log_format)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as node:
        node.connect(settings.socket)
        telling = Telling(node)
        client = Client(app, settings, telling.say)
        for work, name in (
            (telling.run, "tell the node"),
            (client.hear_results, "hear results"),
            (client.watch, "look for lost tasks"),
        ):
            threading.Thread(target=work, name=name, daemon=True).start()
        client.wait_ready()
        for body in iter(lambda: _frame(node), None):
            client.take(read_orders(body))
    # The threads may be in the middle of whatever the application's libraries do.
    os._exit(0)


def _frame(node: socket.socket) -> bytes | None:
    """The next frame from the node; None when it has closed the connection."""
    header = _exactly(node, HEADER)
    if header is None:
        return None
    return _exactly(node, int.from_bytes(header, "big"))


def _exactly(node: socket.socket, size: int) -> bytes | None:
    found = bytearray(size)
    view, done = memoryview(found), 0
    while done < size:
        count = node.recv_into(view[done:])
        if not count:
            return None
        done += count
    return bytes(found)


if __name__ == "__main__":
    main()
