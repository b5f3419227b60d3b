"""Tells when there is another version of the tasks than this node has read: on disk, or at workers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import structlog

from fog_node.execution.pool import HELLO_LIFETIME
from fog_tasks.reporting.reports import Hello
from fog_tasks.task_files import TaskFiles
from fog_tasks.versions import Disk, differences, digests

log = structlog.get_logger()

LOOK_INTERVAL = 5.0
"""Seconds between two looks at the files on the disk."""

SHOWN = 5
"""Names in one sentence at most."""

_RELOAD = "tell the node to reload, which runs what it has read"
_CURE = "give it the files of the node, and restart what is older"


class TaskVersions:
    """The versions of the user's own modules: this node's, its workers', and those on its disk.

    Workers of this machine have what the node has read. Those of other machines read their own files.
    """

    def __init__(self, files: TaskFiles) -> None:
        self._own = digests(files)
        self._disk = Disk(files)
        self._changed: Sequence[str] = ()
        self._others: dict[str, tuple[float, Sequence[str]]] = {}

    def replace(self, files: TaskFiles) -> None:
        """The node has read its tasks again."""
        self._own, self._disk = digests(files), Disk(files)
        self._changed, self._others = (), {}

    def hear(self, hello: Hello, now: float) -> None:
        """Compare what a worker has; one of an earlier Weighbridge does not say it."""
        if hello.tasks is None or hello.tasks == self._own:
            return
        differing = differences(self._own, hello.tasks)
        if differing and hello.worker not in self._others:
            log.warning("worker_differs", worker=hello.worker, tasks=differing, next_step=_CURE)
        if differing:
            self._others[hello.worker] = (now, differing)

    def trouble(self, now: float) -> list[str]:
        """What is wrong now, in words."""
        for worker in [worker for worker, (heard, _) in self._others.items() if now - heard > HELLO_LIFETIME]:
            del self._others[worker]
        trouble = [
            f"worker {worker} has another version of {_some(names)}, or none: {_CURE}"
            for worker, (_, names) in self._others.items()
        ]
        if self._changed:
            names = _some([Path(path).name for path in self._changed])
            trouble.append(f"{names} changed after the node has read it: {_RELOAD}")
        return trouble

    async def run(self) -> NoReturn:
        """Look at the disk, until cancelled."""
        while True:
            disk = self._disk
            changed = await asyncio.to_thread(disk.changed)
            if disk is not self._disk:
                continue
            if changed and changed != self._changed:
                log.warning("tasks_changed", files=changed, next_step=_RELOAD)
            self._changed = changed
            await asyncio.sleep(LOOK_INTERVAL)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
