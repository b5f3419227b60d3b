"""What a node tells its workers."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.contract.topics import Weight
from broker.programs.logs import LogFormat, LogLevel
from fog_tasks.environment import InEnvironment


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(InEnvironment):
    """The settings of a node's workers of one weight.

    `slots` tasks run at once. `memory` is what a task's process may have, in MiB, and `cpu` how many seconds
    of processor time a task may use; 0 is no limit. `snapshot` is the path of what the node has read of
    the task files; without it the worker reads them itself. `crew` tells apart workers that are started at
    different times; with `waits` they take no task before they are told to begin.
    """

    VARIABLE = "FOG_WORKER"

    node: str
    redis_url: str
    weight: Weight = Weight.LIGHT
    slots: int = 1
    tasks: Sequence[str] = ()
    snapshot: str = ""
    crew: str = ""
    waits: bool = False
    memory: int = 0
    cpu: float = 0.0
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.AUTO
