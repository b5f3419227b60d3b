"""The system under the blows: a fog node and its cloud as real processes, and what a fault does to them."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import psutil

from tests.chaos.schedule import Fault
from tests.support.mosquitto import free_port
from tests.support.programs import Program
from tests.support.proxy import Proxy

TASKS = "tests/chaos/chaos_tasks.py"
CUT = 2.0
"""Seconds for which a link stays cut."""

KINDS = {
    "embedded": (
        Fault.CHILD,
        Fault.WORKER,
        Fault.REDIS,
        Fault.NODE,
        Fault.CLOUD,
        Fault.CLOUD_WORKER,
        Fault.LINK,
    ),
    "mosquitto": (
        Fault.CHILD,
        Fault.WORKER,
        Fault.REDIS,
        Fault.NODE,
        Fault.CLOUD,
        Fault.CLOUD_WORKER,
        Fault.LINK,
        Fault.ENGINE,
    ),
}
"""The faults that there can be with each engine."""


class House:
    """A fog node on one engine, and a cloud node behind a link that can be cut."""

    def __init__(self, folder: Path, *, engine: str, seed: int) -> None:
        self._folder = folder
        self._engine = engine
        self._rng = random.Random(seed)
        self.port, self._cloud_port = free_port(), free_port()

    async def start(self) -> Self:
        """Start everything; returns when the fog node is ready."""
        self.cloud = await self._run("cloud_node", self._cloud_port, "--name", "cloud-1")
        self.link = await Proxy(self._cloud_port).__aenter__()
        self.fog = await self._start_fog()
        return self

    async def stop(self) -> None:
        """End everything in good order."""
        await asyncio.to_thread(self.fog.close)
        await self.link.__aexit__()
        await asyncio.to_thread(self.cloud.close)

    async def strike(self, fault: Fault) -> None:
        """Do it, and where it ends a node, start that again."""
        match fault:
            case Fault.CHILD:
                self._kill([one for one in self._workers(self.fog) if self._is_child(one)])
            case Fault.WORKER:
                self._kill([one for one in self._workers(self.fog) if not self._is_child(one)])
            case Fault.CLOUD_WORKER:
                self._kill([one for one in self._workers(self.cloud) if not self._is_child(one)])
            case Fault.REDIS:
                self._kill([one for one in self.fog.descendants() if "redis" in one.name()])
            case Fault.ENGINE:
                self._kill([one for one in self.fog.descendants() if "mosquitto" in one.name()])
            case Fault.NODE:
                await asyncio.to_thread(self._end, self.fog)
                self.fog = await self._start_fog()
            case Fault.CLOUD:
                await asyncio.to_thread(self._end, self.cloud)
                self.cloud = await self._run("cloud_node", self._cloud_port, "--name", "cloud-1")
            case Fault.LINK:
                self.link.cut()
                await asyncio.sleep(CUT)
                self.link.mend()
            case _:
                raise AssertionError(f"nothing is known of {fault}")

    async def _start_fog(self) -> Program:
        options = ("--name", "fog-a", "--cloud", self.link.url, "--engine", self._engine)
        return await self._run("fog_node", self.port, *options)

    async def _run(self, program: str, port: int, *options: str) -> Program:
        command = (
            *(program, *options, "--listen", f"127.0.0.1:{port}", "--tasks", TASKS),
            *("--data", str(self._folder / program), "--workers", "light=2,medium=1,heavy=1"),
        )
        started = await asyncio.to_thread(Program, command, self._folder)
        await asyncio.to_thread(started.wait_ready)
        return started

    def _end(self, program: Program) -> None:
        family = program.descendants()
        program.kill()
        psutil.wait_procs(family, timeout=5)
        program.close()

    def _kill(self, candidates: list[psutil.Process]) -> None:
        if candidates:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._rng.choice(candidates).kill()

    def _workers(self, program: Program) -> list[psutil.Process]:
        found = []
        for one in program.descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "tasks.worker" in one.cmdline():
                    found.append(one)
        return found

    def _is_child(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = process.parent()
            return parent is not None and "tasks.worker" in parent.cmdline()
        return False


@contextlib.asynccontextmanager
async def house(folder: Path, *, engine: str, seed: int) -> AsyncIterator[House]:
    """A system that is up, for as long as the context lasts."""
    made = await House(folder, engine=engine, seed=seed).start()
    try:
        yield made
    finally:
        await made.stop()
