"""The system under the blows: a fog node, its neighbour and its cloud as real processes, and the faults."""

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

_EVERYWHERE = tuple(fault for fault in Fault if fault is not Fault.ENGINE)

KINDS = {"embedded": _EVERYWHERE, "mosquitto": (*_EVERYWHERE, Fault.ENGINE)}
"""The faults that there can be with each engine."""


class Cluster:
    """A fog node on one engine, a neighbour that shares its work, a cloud behind a link that can be cut."""

    def __init__(self, folder: Path, *, engine: str, seed: int) -> None:
        self._folder = folder
        self._engine = engine
        self._rng = random.Random(seed)
        self.port, self._neighbour_port, self._cloud_port = free_port(), free_port(), free_port()

    async def start(self) -> Self:
        """Start everything; returns when the fog node is ready."""
        self.cloud = await self._start_cloud()
        self.neighbour = await self._start_neighbour()
        self.link = await Proxy(self._cloud_port).__aenter__()
        self.fog = await self._start_fog()
        return self

    async def stop(self) -> None:
        """End everything."""
        await asyncio.to_thread(self.fog.close)
        await self.link.__aexit__()
        await asyncio.to_thread(self.neighbour.close)
        await asyncio.to_thread(self.cloud.close)

    @property
    def nodes(self) -> dict[str, int]:
        """The ports of all nodes, by name."""
        return {"fog-a": self.port, "fog-b": self._neighbour_port, "cloud-1": self._cloud_port}

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
                self.cloud = await self._start_cloud()
            case Fault.NEIGHBOUR:
                await asyncio.to_thread(self._end, self.neighbour)
                self.neighbour = await self._start_neighbour()
            case Fault.LINK:
                self.link.cut()
                await asyncio.sleep(CUT)
                self.link.mend()

    async def _start_fog(self) -> Program:
        neighbour = f"mqtt://127.0.0.1:{self._neighbour_port}"
        options = ("--cloud", self.link.url, "--neighbour", neighbour, "--engine", self._engine)
        return await self._run("fog_node", "fog-a", self.port, *options)

    async def _start_neighbour(self) -> Program:
        return await self._run("fog_node", "fog-b", self._neighbour_port)

    async def _start_cloud(self) -> Program:
        return await self._run("cloud_node", "cloud-1", self._cloud_port)

    async def _run(self, program: str, name: str, port: int, *options: str) -> Program:
        command = (
            *(program, "--name", name, *options, "--listen", f"127.0.0.1:{port}", "--tasks", TASKS),
            *("--data", str(self._folder / name), "--workers", "light=2,medium=1,heavy=1"),
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
                if "fog_tasks.worker" in one.cmdline():
                    found.append(one)
        return found

    def _is_child(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = process.parent()
            return parent is not None and "fog_tasks.worker" in parent.cmdline()
        return False


@contextlib.asynccontextmanager
async def cluster(folder: Path, *, engine: str, seed: int) -> AsyncIterator[Cluster]:
    """A system that is up, for as long as the context lasts."""
    made = await Cluster(folder, engine=engine, seed=seed).start()
    try:
        yield made
    finally:
        await made.stop()
