"""A fog node that is watched: `python -m benchmarks.profiling.node FILE OPTIONS...`, the options fog-node's.

It notes the moments at which tasks pass the parts of the node, on the clock that all processes of a machine
share, and every two milliseconds of processor time which part its main thread is in. SIGUSR1 begins anew,
SIGUSR2 writes FILE.
"""

import asyncio
import functools
import json
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.profiling.parts import part_of
from fog_node.dispatcher import Dispatcher
from fog_node.execution.report_reader import ReportReader
from fog_node.execution.work_queue import WorkQueue
from fog_node.journal.journal import Journal
from fog_node.replies.replies import Replies
from weighbridge.programs import fog_node

_INTERVAL = 0.002

_moments: list[tuple[str, float]] = []


class Sampler:
    """Shares out the main thread's processor time among the parts it was found in."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._last = self._main = time.thread_time()
        self._all = time.process_time()

    def sample(self, _number: int, frame: FrameType | None) -> None:
        """Give what the thread has used since the last sample to the part it is in now."""
        now = time.thread_time()
        names = []
        while frame is not None:
            names.append(frame.f_globals.get("__name__", ""))
            frame = frame.f_back
        self._spent[part_of(names)] += now - self._last
        self._last = now

    def begin(self, *_: Any) -> None:
        """Forget what was noted."""
        _moments.clear()
        self._spent.clear()
        self._last = self._main = time.thread_time()
        self._all = time.process_time()

    def write(self, path: Path, *_: Any) -> None:
        """Write what was noted, in one piece."""
        main_thread = time.thread_time() - self._main
        noted = {
            "moments": _moments,
            "main": dict(self._spent),
            "others": time.process_time() - self._all - main_thread,
        }
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps(noted), "utf-8")
        unfinished.rename(path)


def note_call(owner: type, method: str, before: str, after: str = "") -> None:
    """Note when a method is called, and when the future that it returns is done."""
    original: Callable[..., Any] = getattr(owner, method)

    @functools.wraps(original)
    def noting(*arguments: Any, **named: Any) -> Any:
        _moments.append((before, time.monotonic()))
        returned = original(*arguments, **named)
        if after and isinstance(returned, asyncio.Future):
            returned.add_done_callback(lambda _: _moments.append((after, time.monotonic())))
        return returned

    setattr(owner, method, noting)


def note_return(owner: type, method: str, name: str) -> None:
    """Note when a coroutine has returned something."""
    original: Callable[..., Any] = getattr(owner, method)

    @functools.wraps(original)
    async def noting(*arguments: Any, **named: Any) -> Any:
        returned = await original(*arguments, **named)
        if returned:
            _moments.append((name, time.monotonic()))
        return returned

    setattr(owner, method, noting)


def watch(path: Path) -> None:
    """Have this process's node watched."""
    note_call(Dispatcher, "receive", "received")
    note_call(Journal, "accept", "storing", "stored")
    note_call(WorkQueue, "send", "sending")
    note_return(ReportReader, "read", "reported")
    note_call(Journal, "finish", "ending", "ended")
    note_call(Replies, "send", "replied")
    sampler = Sampler()
    signal.signal(signal.SIGPROF, sampler.sample)
    signal.signal(signal.SIGUSR1, sampler.begin)
    signal.signal(signal.SIGUSR2, functools.partial(sampler.write, path))
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)


if __name__ == "__main__":
    watch(Path(sys.argv.pop(1)))
    fog_node()
