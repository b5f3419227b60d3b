"""The system under the blows: a fog node, its neighbour and its cloud as real processes, and the faults."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import psutil

from broker.contract.url import BrokerUrl
from tests.chaos.schedule import Fault
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.programs import Program
from tests.support.proxy import Proxy

TASKS = "tests/chaos/chaos_tasks.py"
NODE = "fog-a"
CUT = 2.0
"""Seconds for which a link stays cut."""

STOP_TIMEOUT = 40.0
"""Seconds that a node gets to stop in order; its drain alone may take 15."""

_EVERYWHERE = tuple(fault for fault in Fault if fault is not Fault.ENGINE)

KINDS = {"embedded": _EVERYWHERE, "mosquitto": (*_EVERYWHERE, Fault.ENGINE), "external": _EVERYWHERE}
"""The faults that there can be with each engine; external is a Mosquitto of ours that no fault hits."""


def kinds(engine: str) -> tuple[Fault, ...]:
    """The faults that there can be with an engine, or with a broker elsewhere, by its URL."""
    return KINDS.get(engine, KINDS["external"])


class Cluster:
    """A fog node on one engine, a neighbour that shares its work, a cloud behind a link that can be cut.

    The fog node has the `rules` of a file, if there is one.

    `broker` is where devices reach the fog node.
    """

    def __init__(self, folder: Path, *, engine: str, seed: int, rules: Path | None) -> None:
        self._folder = folder
        self._rules = () if rules is None else ("--rules", str(rules))
        self._rng = random.Random(seed)
        self._port, self._neighbour_port, self._cloud_port = free_port(), free_port(), free_port()
        self._mosquitto = Mosquitto(folder) if engine == "external" else None
        self._engine = engine if self._mosquitto is None else self._mosquitto.url
        self.broker = BrokerUrl.parse(self._engine if "://" in self._engine else _local(self._port))

    async def start(self) -> Self:
        """Start everything; returns when the fog node is ready."""
        if self._mosquitto is not None:
            self._mosquitto.start()
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
        if self._mosquitto is not None:
            self._mosquitto.stop()

    @property
    def nodes(self) -> dict[str, BrokerUrl]:
        """Where all nodes tell their states, by name."""
        neighbour, cloud = _local(self._neighbour_port), _local(self._cloud_port)
        return {NODE: self.broker, "fog-b": BrokerUrl.parse(neighbour), "cloud-1": BrokerUrl.parse(cloud)}

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
            case Fault.NODE | Fault.NODE_STOP | Fault.NODE_SERVICE:
                await asyncio.to_thread(END[fault], self.fog)
                self.fog = await self._start_fog()
            case Fault.CLOUD | Fault.CLOUD_SERVICE:
                await asyncio.to_thread(END[fault], self.cloud)
                self.cloud = await self._start_cloud()
            case Fault.NEIGHBOUR | Fault.NEIGHBOUR_SERVICE:
                await asyncio.to_thread(END[fault], self.neighbour)
                self.neighbour = await self._start_neighbour()
            case Fault.LINK:
                self.link.cut()
                await asyncio.sleep(CUT)
                self.link.mend()

    async def _start_fog(self) -> Program:
        neighbour = _local(self._neighbour_port)
        options = ("--cloud", self.link.url, "--neighbour", neighbour, "--engine", self._engine)
        return await self._run("fog_node", NODE, self._port, *options, *self._rules)

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


def _local(port: int) -> str:
    return f"mqtt://127.0.0.1:{port}"


def _kill_node(program: Program) -> None:
    family = program.descendants()
    program.kill()
    psutil.wait_procs(family, timeout=5)
    program.close()


def _stop_node(program: Program) -> None:
    _stop(program, [])


def _stop_service(program: Program) -> None:
    _stop(program, program.descendants())


def _stop(program: Program, others: list[psutil.Process]) -> None:
    """Tell a node and others to stop, as a service manager does; it has to end well and leave nothing."""
    family = program.descendants()
    for one in others:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    status = program.terminate(STOP_TIMEOUT)
    assert status == 0, f"it ended with {status}:\n{program.stderr}"
    assert psutil.wait_procs(family, timeout=5)[1] == [], "it has left processes behind"
    program.close()


END = {
    Fault.NODE: _kill_node,
    Fault.CLOUD: _kill_node,
    Fault.NEIGHBOUR: _kill_node,
    Fault.NODE_STOP: _stop_node,
    Fault.NODE_SERVICE: _stop_service,
    Fault.CLOUD_SERVICE: _stop_service,
    Fault.NEIGHBOUR_SERVICE: _stop_service,
}
"""How each fault ends a node."""


@contextlib.asynccontextmanager
async def cluster(
    folder: Path, *, engine: str, seed: int, rules: Path | None = None
) -> AsyncIterator[Cluster]:
    """A system that is up, for as long as the context lasts."""
    made = await Cluster(folder, engine=engine, seed=seed, rules=rules).start()
    try:
        yield made
    finally:
        await made.stop()
