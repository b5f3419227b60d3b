"""The demo: one cloud, two fog nodes and a fleet on this machine, on free ports, for half a minute."""

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from broker.contract.mqtt_version import MqttVersion
from broker.contract.url import BrokerUrl
from broker.programs.mqtt_option import mqtt_option
from device_sim.demo.programs import Program
from device_sim.fleet.settings import DEFAULT_NODE, FleetSettings

FOG_NODES = ("fog-a", "fog-b")

# One worker for each weight at each node: enough for the default rates on a machine with two cores.
WORKERS = "light=1,medium=1,heavy=1"


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """How long the demo runs, and how much its devices send: rates in tasks a minute and device."""

    seconds: Annotated[float, typer.Option(min=1, help="How long the devices send.")] = 30.0
    devices: Annotated[
        int, typer.Option(min=1, max=1000, help="How many devices, half at each fog node.")
    ] = 4
    light: Annotated[float, typer.Option(min=0, help="Light tasks a minute and device.")] = 200.0
    medium: Annotated[float, typer.Option(min=0, help="Medium tasks a minute and device.")] = 6.0
    heavy: Annotated[float, typer.Option(min=0, help="Heavy tasks a minute and device.")] = 2.0
    mqtt: Annotated[MqttVersion | None, mqtt_option("that the devices speak")] = None
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write the report as JSON here too.")
    ] = None

    def __post_init__(self) -> None:
        # Settings that a fleet refuses are refused now, before anything is started.
        self.fleet([DEFAULT_NODE])

    def fleet(self, nodes: list[str]) -> FleetSettings:
        """The fleet that sends to these nodes."""
        return FleetSettings(
            node=nodes,
            devices=self.devices,
            seconds=self.seconds,
            light=self.light,
            medium=self.medium,
            heavy=self.heavy,
            prefix="demo",
            mqtt=self.mqtt,
            report=self.report,
        )


@contextlib.asynccontextmanager
async def house(console: Console) -> AsyncIterator[list[str]]:
    """Start a cloud and two fog nodes, give the fog nodes' URLs, and end all three afterwards."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-demo-", ignore_cleanup_errors=True) as folder:
        cloud = _program("cloud_node", "cloud", Path(folder))
        fog: list[Program] = []
        try:
            await cloud.start()
            console.print(f"cloud  {cloud.url}")
            fog += [_program("fog_node", name, Path(folder), "--cloud", cloud.url) for name in FOG_NODES]
            await _start_all(fog)
            for node in fog:
                console.print(f"{node.name}  {node.url}")
            yield [node.url for node in fog]
        finally:
            # The cloud last, because the fog nodes wait for its outcomes.
            try:
                await asyncio.gather(*(node.stop() for node in fog))
            finally:
                await cloud.stop()


async def _start_all(programs: Sequence[Program]) -> None:
    for fault in await asyncio.gather(*(one.start() for one in programs), return_exceptions=True):
        if fault is not None:
            raise fault


def invitation(node: str) -> str:
    """The lines that tell the user what to try meanwhile."""
    port = BrokerUrl.parse(node).port
    return (
        "Try it meanwhile, from another terminal:\n"
        f"  mosquitto_rr -p {port} -t fog/tasks/light/sum/me/1 -e fog/results/me/1 -m '[1,2,3]'\n"
        f"  {_this_program()} submit light sum '[1,2,3]' --node {node}"
    )


def _this_program() -> str:
    """How the user can call this program: by its name if the shell finds it, else by its path."""
    started_as = Path(sys.argv[0])
    if started_as.name == "__main__.py":
        return f"{sys.executable} -m device_sim"
    return started_as.name if shutil.which(started_as.name) else str(started_as)


def _program(module: str, name: str, folder: Path, *more: str) -> Program:
    arguments = (
        "--name",
        name,
        "--listen",
        "127.0.0.1:0",
        "--data",
        str(folder / name),
        "--workers",
        WORKERS,
    )
    return Program(module, (*arguments, *more), name=name, logs=folder)
