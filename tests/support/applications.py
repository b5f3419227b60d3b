"""A Celery application of a test, with workers of its own, and the node that is a door to it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from fog_tasks.redis_url import celery_url
from tests.support.programs import REPOSITORY, Program, fog_node
from tests.support.redis import private_redis

MODULE = "tests.end_to_end.door_tasks"
APP = f"{MODULE}:app"
BESIDE = "shop:app"
"""An application in a file of the test's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an application's broker and its results are."""

    broker: str
    backend: str


@contextlib.contextmanager
def redis_place(folder: Path) -> Iterator[Place]:
    """A Redis for both."""
    with private_redis(folder) as url:
        # Celery takes no option of the socket's URL for its results.
        yield Place(broker=celery_url(url).partition("?")[0], backend=celery_url(url).partition("?")[0])


class Workers:
    """The application's own workers, as `celery -A MODULE:APP worker` starts them."""

    def __init__(self, place: Place, folder: Path, *, processes: int = 2, beside: bool = False) -> None:
        self.log = folder / "celery.log"
        own = ("-A", BESIDE if beside else APP, "-b", place.broker, "--result-backend", place.backend)
        how = (
            "-c",
            str(processes),
            "-l",
            "info",
            "--without-mingle",
            "--without-gossip",
            "-n",
            f"shop{id(self)}@%h",
        )
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", *own, "worker", *how],
                cwd=folder if beside else REPOSITORY,
                env={**os.environ, "DOOR_TESTS": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """End them all by kill -9, in the middle of whatever they do."""
        main = psutil.Process(self.process.pid)
        family = [main, *main.children(recursive=True)]
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()
        psutil.wait_procs(family, timeout=5)


@contextlib.contextmanager
def workers(place: Place, folder: Path, *, processes: int = 2, beside: bool = False) -> Iterator[Workers]:
    """Workers, which need not be up yet: what is sent waits for them. `beside`: of what is in `folder`."""
    started = Workers(place, folder, processes=processes, beside=beside)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.kill()


def config(place: Place, folder: Path, *, more: str = "", app: bool = True) -> str:
    """A file of settings for a door to the application at that place."""
    file = folder / "door.toml"
    own = f'app = "{APP}"\n' if app else ""
    file.write_text(f'[celery]\n{own}broker = "{place.broker}"\nbackend = "{place.backend}"\n{more}', "utf-8")
    return str(file)


@contextlib.contextmanager
def door(place: Place, folder: Path, *, more: str = "", app: bool = True) -> Iterator[Program]:
    """A node that is a door to the application."""
    with fog_node(folder, "--config", config(place, folder, more=more, app=app)) as node:
        yield node


def door_program(node: Program) -> psutil.Process:
    """The program beside a node that speaks to the application."""
    (found,) = (one for one in node.descendants() if "fog_tasks.application.program" in one.cmdline())
    return found
