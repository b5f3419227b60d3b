"""The program of the door to a Celery application."""

import signal
import sys
from pathlib import Path

from broker.programs.processes import ProgramSpec
from broker.programs.sockets import socket_path
from fog_node.infrastructure.workers import python_path
from fog_node.settings import NodeSettings
from fog_tasks.application.settings import Application, DoorSettings


def door_socket(folder: Path) -> Path:
    """Where a node with this data folder listens for its door."""
    return socket_path(folder, "door.sock")


def door_snapshot(folder: Path) -> Path:
    """Where a node with this data folder writes for its door what it has read of the user's modules."""
    return folder / "door.snapshot"


def ticket_prefix(mark: str) -> str:
    """What a node's tasks are called at the application, to begin with; `mark` tells it from all others."""
    return f"weighbridge-{mark}-"


def door_program(settings: NodeSettings, application: Application, mark: str, snapshot: str) -> ProgramSpec:
    """The program; `snapshot` is what the node has read of the user's modules."""
    about = application.about
    door = DoorSettings(
        socket=str(door_socket(settings.folder)),
        prefix=ticket_prefix(mark),
        reply=f"weighbridge-{mark}",
        app=about.app,
        broker=about.broker,
        backend=about.backend,
        lease=about.lease,
        queues=application.queues,
        snapshot=snapshot,
        log_level=settings.log_level,
        log_format=settings.log_format,
    )
    return ProgramSpec(
        name="celery door",
        # -P: the current folder is not searched, where a user's celery.py may be.
        command=(sys.executable, "-P", "-m", "fog_tasks.application.program"),
        environment={**door.environment(), "PYTHONPATH": python_path()},
        # What it has sent is the application's, and what it has not sent is the node's.
        stop=signal.SIGKILL,
    )
