"""The node itself, started as anybody starts it."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.contestants.settings import PROCESSES
from benchmarks.errors import BenchmarkFailed
from benchmarks.load.generator import Generator
from benchmarks.parts import Parts, node_parts
from device_sim.demo.programs import Program, ProgramFailed

ENGINES = ("embedded", "mosquitto")


@dataclass(frozen=True)
class Node:
    """A node that runs."""

    port: int
    parts: Parts
    data: Path

    async def generator(self, devices: int) -> Generator:
        """Connected devices; whoever asks closes them."""
        made = Generator(self.parts)
        await made.connect(self.port, devices)
        return made


@contextlib.asynccontextmanager
async def node(engine: str, *options: str, program: Sequence[str] = ("fog_node",)) -> AsyncIterator[Node]:
    """A node with default settings, but for its engine, its free port and the options given.

    `program` is the module that runs it, and what that takes before the node's options.
    """
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as folder:
        data = Path(folder) / "data"
        arguments = (
            *("--name", "bench", "--listen", "127.0.0.1:0", "--data", str(data), "--engine", engine),
            *("--workers", f"light={PROCESSES}", "--log-level", "warning"),
            *options,
        )
        module, *first = program
        running = Program(module, (*first, *arguments), name="bench", logs=Path(folder))
        try:
            await running.start()
        except ProgramFailed as fault:
            raise BenchmarkFailed(str(fault)) from fault
        try:
            root = _started(str(data))
            yield Node(urlsplit(running.url).port or 0, Parts(node_parts(root)), data)
        finally:
            await running.stop()


def _started(argument: str) -> psutil.Process:
    for process in psutil.Process().children():
        if argument in process.cmdline():
            return process
    raise BenchmarkFailed("the node has ended")
