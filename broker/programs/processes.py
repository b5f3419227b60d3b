"""The programs that a node starts: watched, started again when they end, and never left behind."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import psutil
import structlog

from broker.programs import guard
from broker.programs.families import kill_family, kill_group
from broker.programs.output import Output
from broker.programs.pid_file import PidFile

log = structlog.get_logger()

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
"""Seconds before a program that has ended is started again. The pause doubles each time, up to this."""

STEADY_AFTER = 30.0
"""A program that ran for this many seconds can start, so that its next pause is the first one again."""

STOP_TIMEOUT = 5.0
"""Seconds between asking a program to end and killing it."""

FROM_OTHERS = frozenset((signal.SIGTERM, signal.SIGINT))
"""What a service manager may send to every process of a service at once. The program that it runs needs the
others until it has stopped itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSpec:
    """What to start, under which name, and what is to be done when it has ended unasked.

    What it writes goes to standard error, or as lines to `on_lines`. `stop` is the signal that ends it, and
    `stop_timeout` the seconds that it gets for it; whoever else tells it to end is not heard.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    on_exit: Callable[[], None] = lambda: None
    on_lines: Callable[[list[bytes]], None] | None = None
    stop: signal.Signals
    stop_timeout: float = STOP_TIMEOUT


class Supervisor:
    """Keeps one program running: starts it, and again with a growing pause whenever it ends."""

    def __init__(self, program: ProgramSpec, pid_file: PidFile) -> None:
        self._program = program
        self._pid_file = pid_file
        self._process: asyncio.subprocess.Process | None = None
        self._output: Output | None = None
        self._let_go = asyncio.Event()
        self.restarts = 0

    async def run(self) -> None:
        """Keep the program running until cancelled, or let go; return once it is gone."""
        async with self._overheard():
            await self._keep()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        try:
            while not self._let_go.is_set():
                began = loop.time()
                self._process = process = await self._start()
                status = await process.wait()
                kill_group(process.pid)
                self._pid_file.remove(process.pid)
                if self._let_go.is_set() and status == 0:
                    break
                # A program that dies at each start would be started in a circle.
                if loop.time() - began > STEADY_AFTER:
                    pause = FIRST_PAUSE
                self.restarts += 1
                log.warning("program_ended", name=self._program.name, status=status, restart_in_s=pause)
                self._program.on_exit()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._let_go.wait()
                pause = min(LONGEST_PAUSE, 2 * pause)
        finally:
            await self._stop()

    @contextlib.asynccontextmanager
    async def _overheard(self) -> AsyncIterator[None]:
        """Meanwhile, give on what the program writes, if somebody wants to know."""
        if self._program.on_lines is None:
            yield
            return
        self._output = Output(self._program.on_lines)
        following = asyncio.create_task(self._output.follow(), name=f"{self.name} output")
        try:
            yield
        finally:
            following.cancel()
            self._output.close()

    def let_go(self, number: signal.Signals) -> None:
        """Send the program a signal by which it ends in its own time; it is not started again."""
        self._let_go.set()
        self.signal(number)

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal, if it runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                self._process.send_signal(number)

    def restart(self) -> None:
        """Kill the program, which is then started anew."""
        if self._process is not None and self._process.returncode is None:
            _kill(self._process)

    @property
    def name(self) -> str:
        """What the program is called."""
        return self._program.name

    async def _start(self) -> asyncio.subprocess.Process:
        # Standard output is for the node's own results.
        out, errors = (sys.stderr, None) if self._output is None else (self._output.writer,) * 2
        process = await start_guarded(
            self._program.command,
            out=out,
            errors=errors,
            environment=self._program.environment,
            deaf_to=FROM_OTHERS - {self._program.stop},
        )
        self._pid_file.add(process.pid)
        log.debug("program_started", name=self._program.name, pid=process.pid)
        return process

    async def _stop(self) -> None:
        if self._process is not None:
            program = self._program
            await end(self._process, program.name, program.stop_timeout, by=program.stop)
            self._pid_file.remove(self._process.pid)


async def start_guarded(
    command: Sequence[str],
    *,
    out: int | IO[Any],
    errors: int | IO[Any] | None,
    environment: Mapping[str, str] | None = None,
    deaf_to: Collection[signal.Signals] = (),
) -> asyncio.subprocess.Process:
    """Start a program that ends when this one does, even by kill -9 (broker/programs/guard.py).

    Signals that it is `deaf_to` have no effect on it, whatever it does about them.
    """
    blocked = ",".join(str(int(number)) for number in deaf_to)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), blocked, *command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=out,
        stderr=errors,
        env={**os.environ, **(environment or {})},
        # A session of its own: Ctrl-C on the terminal reaches this program alone, which ends the others.
        start_new_session=True,
    )


async def end(
    process: asyncio.subprocess.Process, name: str, timeout: float, *, by: signal.Signals = signal.SIGTERM
) -> None:
    """Ask a program to end; kill it after `timeout` seconds, and at once if this call is cancelled."""
    try:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(by)
        async with asyncio.timeout(timeout):
            await process.wait()
    except TimeoutError:
        log.warning("program_killed", name=name, after_s=timeout)
    finally:
        _kill(process)
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(psutil.Error):
            kill_family(psutil.Process(process.pid))
    kill_group(process.pid)


async def keep_all(keepers: Iterable[Supervisor]) -> None:
    """Keep several programs running until cancelled; then end them together."""
    async with asyncio.TaskGroup() as group:
        for supervisor in keepers:
            group.create_task(supervisor.run(), name=supervisor.name)
