"""The programs of the demo: starts each, waits until it is ready, and ends it with all that it started."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from broker.programs.processes import end, start_guarded
from device_sim.errors import DeviceError

READY_TIMEOUT = 60.0
"""Seconds: a node first starts a Redis and workers, which takes 20 s on a slow machine with two cores."""

STOP_TIMEOUT = 20.0
"""Seconds that a node gets to finish its tasks after SIGTERM; then it is killed with all that it started."""

LAST_LINES = 15
"""Lines of the log of a program that failed which are shown: the last error with its traceback."""


class ProgramFailed(DeviceError):
    """Raised when a program of the demo ended early or did not become ready."""


class Program:
    """One `python -m MODULE …`, whose log goes to a file. Used once: started, then stopped."""

    def __init__(self, module: str, arguments: Sequence[str], *, name: str, logs: Path) -> None:
        self.name = name
        self.url = ""
        self._command = (sys.executable, "-m", module, *arguments)
        self._log = logs / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait for its line `ready NAME URL`. Raises ProgramFailed, and has then ended it."""
        # A pipe of our own: with asyncio's, `wait` would wait for every process that inherited the other end.
        ours, theirs = os.pipe()
        output = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(ours, "rb")
        )
        try:
            self._process = await self._start(theirs)
        except BaseException:
            pipe.close()
            raise
        finally:
            os.close(theirs)
        said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._listener = asyncio.create_task(_listen(output, pipe, said), name=f"{self.name}: stdout")
        try:
            self.url = await self._ready(said, self._process)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Let it end, and kill it if it does not. A second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        family = _family(process.pid)
        try:
            await end(process, self.name, STOP_TIMEOUT)
        finally:
            # Cancelled or not, nothing that it started stays behind. psutil compares the start time too, so
            # that a process id which was given out again is not hit.
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            if self._listener is not None:
                self._listener.cancel()

    async def _start(self, output: int) -> asyncio.subprocess.Process:
        with self._log.open("wb") as log_file:
            return await start_guarded(self._command, out=output, errors=log_file)

    async def _ready(self, said: asyncio.Future[str], process: asyncio.subprocess.Process) -> str:
        ended = asyncio.create_task(process.wait(), name=f"{self.name}: ended")
        await asyncio.wait((said, ended), timeout=READY_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if said.done():
            return said.result()
        late = process.returncode is None
        why = f"was not ready in {READY_TIMEOUT:g} s" if late else "ended before it was ready"
        raise ProgramFailed(f"{self.name} {why}{self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:]
        return "".join(f"\n  {self.name}| {line}" for line in lines)


async def _listen(
    output: asyncio.StreamReader, pipe: asyncio.ReadTransport, said: asyncio.Future[str]
) -> None:
    # All of it: a full pipe would block the program.
    with contextlib.closing(pipe):
        while line := await output.readline():
            match line.decode("utf-8", "replace").split():
                case ["ready", _name, url] if not said.done():
                    said.set_result(url)
                case _:
                    pass


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
