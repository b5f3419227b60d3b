"""The worker programs of a node, one for each weight, so that a light task never waits behind a heavy one."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fog_tasks
from broker.contract.topics import Weight
from broker.programs.logs import LogFormat, LogLevel
from broker.programs.processes import ProgramSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What the workers of one node have in common; `scratch` is the folder for their temporary files,
    `memory` what a process of theirs may have, in MiB, `cpu` how many seconds of processor time a task
    may use; 0 is no limit.
    """

    node: str
    redis_url: str
    tasks: Sequence[str]
    log_level: LogLevel
    log_format: LogFormat
    scratch: Path
    memory: int = 0
    cpu: float = 0.0


def worker_program(
    settings: WorkerSettings, weight: Weight, slots: int, *, on_exit: Callable[[], None] = lambda: None
) -> ProgramSpec:
    """The program that runs `slots` tasks of one weight at once."""
    command = [
        # -P: a user's own tasks.py in the current folder is not to stand in for this package.
        *(sys.executable, "-P", "-m", "fog_tasks.worker"),
        *("--node", settings.node),
        *("--weight", weight),
        *("--slots", str(slots)),
        *("--log-level", settings.log_level),
        *("--log-format", settings.log_format),
        *("--memory", str(settings.memory)),
        *("--cpu", str(settings.cpu)),
    ]
    for source in settings.tasks:
        command += ["--tasks", source]
    return ProgramSpec(
        name=f"{weight} workers",
        command=command,
        environment={
            "FOG_WORKER_REDIS": settings.redis_url,
            "PYTHONPATH": _python_path(),
            # What a killed worker leaves there is deleted at the node's next start.
            "TMPDIR": str(settings.scratch),
        },
        on_exit=on_exit,
    )


def _python_path() -> str:
    house = str(Path(fog_tasks.__file__).parent.parent)
    return os.pathsep.join(filter(None, (house, os.environ.get("PYTHONPATH"))))
