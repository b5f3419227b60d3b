"""The worker programs of a node, one for each weight, so that a light task never waits behind a heavy one."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import fog_tasks
from broker.contract.topics import Weight
from broker.programs.processes import STOP_TIMEOUT, ProgramSpec
from fog_tasks.running.settings import WorkerSettings
from fog_tasks.running.stopping import STOP


def worker_programs(
    common: WorkerSettings,
    workers: Mapping[Weight, int],
    scratch: Path,
    *,
    on_exit: Callable[[Weight], None] = lambda _: None,
    drain: float = STOP_TIMEOUT,
) -> dict[Weight, ProgramSpec]:
    """The programs that run so many tasks of each weight at once; their temporary files go to `scratch`.

    A program that is told to stop gets `drain` seconds for the tasks that it runs.
    """
    return {
        weight: _program(
            replace(common, weight=weight, slots=slots), scratch, partial(on_exit, weight), drain
        )
        for weight, slots in workers.items()
        if slots > 0
    }


def _program(
    settings: WorkerSettings, scratch: Path, on_exit: Callable[[], None], drain: float
) -> ProgramSpec:
    return ProgramSpec(
        name=f"{settings.weight} workers",
        # -P: the current folder is not searched, where a user's celery.py may be. The weight is for people
        # who list processes.
        command=(sys.executable, "-P", "-m", "fog_tasks.worker", settings.weight),
        environment={
            **settings.environment(),
            "PYTHONPATH": python_path(),
            # A worker that is killed leaves files there; the node deletes them when it starts again.
            "TMPDIR": str(scratch),
        },
        on_exit=on_exit,
        stop=STOP,
        stop_timeout=drain,
    )


def python_path() -> str:
    """Where this very package is, which need not be installed, and then what the node was told."""
    home = str(Path(fog_tasks.__file__).parent.parent)
    return os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
