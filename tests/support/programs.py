"""Starts the project's own programs for a test, and ends them with it."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil

REPOSITORY = Path(__file__).parents[2]
READY_TIMEOUT = 60.0

MEASURED = "COVERAGE_PROCESS_CONFIG" in os.environ
"""Whether coverage is measured: then a program has to end by itself, to write down what it ran."""

EVERY_WEIGHT = "light=1,medium=1,heavy=1"


class Program:
    """A running fog node or cloud node, known by the line with which it said that it is ready.

    `inside` is what the command begins with where it runs in another host (tests/support/hosts.py),
    `start` what starts it if not `python -m PACKAGE`, `cwd` where it is started.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: dict[str, str] | None = None,
        *,
        inside: Sequence[str] = (),
        start: Sequence[str] | None = None,
        cwd: Path = REPOSITORY,
    ) -> None:
        self.log = folder / f"{command[0]}-{time.monotonic_ns()}.log"
        self._stderr = self.log.open("wb")
        self.process = subprocess.Popen(
            [*inside, *(start or (sys.executable, "-m", command[0])), *command[1:]],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, **(environment or {})},
            text=True,
        )
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def wait_ready(self) -> None:
        """Wait for the line `ready NAME URL`."""
        try:
            line = self.lines.get(timeout=READY_TIMEOUT)
        except queue.Empty:
            raise AssertionError(f"not ready after {READY_TIMEOUT} s:\n{self.stderr}") from None
        assert line is not None, f"ended with {self.process.wait()} before it was ready:\n{self.stderr}"
        word, self.name, self.url = line.split()
        assert word == "ready"

    def wait_for_log(self, words: str) -> None:
        """Wait until it has logged a line with these words."""
        give_up = time.monotonic() + READY_TIMEOUT
        while words not in self.stderr:
            assert time.monotonic() < give_up, f"it never logged {words!r}:\n{self.stderr}"
            time.sleep(0.05)

    @property
    def port(self) -> int:
        """The port of the broker it serves."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def stderr(self) -> str:
        """What it has logged so far."""
        return self.log.read_text("utf-8", "replace")

    def terminate(self, timeout: float = 30.0) -> int:
        """Ask it to stop; return its exit status."""
        self.process.terminate()
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End it with kill -9."""
        self.process.kill()
        self.process.wait()

    def descendants(self) -> list[psutil.Process]:
        """The processes that it has started, and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        """End it and all it started at once, whatever state they are in; `terminate` lets it drain."""
        family = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = self.descendants()
        # The second signal ends the drain: what a test has left running is not waited for.
        for patience in (1, 10) if MEASURED else ():
            if self.process.poll() is None:
                self.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(patience)
        self.process.kill()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()
        # What they still hold, as the disk of a test, is not free before they are gone.
        psutil.wait_procs(family, timeout=5)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)


@contextlib.contextmanager
def running(
    *command: str,
    folder: Path,
    environment: dict[str, str] | None = None,
    inside: Sequence[str] = (),
    start: Sequence[str] | None = None,
    cwd: Path = REPOSITORY,
) -> Iterator[Program]:
    """A program that is ready, for as long as the context lasts."""
    program = Program(command, folder, environment, inside=inside, start=start, cwd=cwd)
    try:
        program.wait_ready()
        yield program
    finally:
        program.close()


@contextlib.contextmanager
def fog_node(
    folder: Path,
    *options: str,
    name: str = "fog-a",
    data: str | None = None,
    workers: str = "light=1",
) -> Iterator[Program]:
    """A fog node on a free port. Each weight of `workers` is a program: name only those that are needed."""
    where = folder / (data or name)
    with running(
        *("fog_node", "--name", name, "--listen", "127.0.0.1:0", "--data", str(where)),
        *("--workers", workers, *options),
        folder=folder,
    ) as node:
        yield node


@contextlib.contextmanager
def cloud_node(folder: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[Program]:
    """A cloud node on a free port, with one worker process, which is for heavy tasks."""
    with running(
        *("cloud_node", "--listen", "127.0.0.1:0", "--data", str(folder / "cloud")),
        *("--workers", "heavy=1", *options),
        folder=folder,
        environment=environment,
    ) as node:
        yield node
