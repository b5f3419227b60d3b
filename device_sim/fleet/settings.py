"""The settings of a fleet, declared once; its flags, environment variables and file keys follow."""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from broker.contract.mqtt_version import MqttVersion
from broker.contract.topics import WEIGHTS, Weight, level_fault
from broker.contract.url import BrokerUrl
from broker.errors import SettingsError
from broker.programs.mqtt_option import mqtt_option
from device_sim.fleet.workload import REQUIREMENTS, TASKS, Pace, Stream

DEFAULT_NODE = "mqtt://127.0.0.1:1883"


@dataclass(frozen=True, kw_only=True)
class FleetSettings:
    """What a fleet does. Durations in seconds, rates in tasks a minute and device."""

    node: Annotated[
        list[str],
        typer.Option(metavar="URL", help="A node to send to; repeat it to spread the devices over several."),
    ] = field(default_factory=lambda: [DEFAULT_NODE])
    mqtt: Annotated[MqttVersion | None, mqtt_option("that the devices speak")] = None
    devices: Annotated[int, typer.Option(min=1, max=10_000, help="How many devices send.")] = 1
    seconds: Annotated[float, typer.Option(min=0.1, help="How long they send.")] = 60.0
    grace: Annotated[float, typer.Option(min=0, help="How long to wait for late answers after that.")] = 30.0
    light: Annotated[float, typer.Option(min=0, help="Light tasks a minute and device (due in 0.2 s).")] = (
        200.0
    )
    medium: Annotated[float, typer.Option(min=0, help="Medium tasks a minute and device (due in 2 s).")] = (
        40.0
    )
    heavy: Annotated[float, typer.Option(min=0, help="Heavy tasks a minute and device (due in 5 s).")] = 10.0
    task: Annotated[
        list[str],
        typer.Option(
            metavar="WEIGHT=TASK[ JSON]",
            help="Send this task instead of the original's body, as in --task light=echo or"
            " --task 'light=sum [1,2,3]'.",
        ),
    ] = field(default_factory=list)
    pace: Annotated[Pace, typer.Option(help="Evenly spaced, or in random bursts.")] = Pace.REGULAR
    deadlines: Annotated[
        bool, typer.Option("--deadlines", help="Send each task's time requirement along as its $deadline.")
    ] = False
    seed: Annotated[int, typer.Option(help="The same seed sends at the same moments.")] = 1
    prefix: Annotated[
        str, typer.Option(help="Devices are called PREFIX-0, PREFIX-1, …", show_default="fleet-<random>")
    ] = field(default_factory=lambda: f"fleet-{secrets.token_hex(3)}")
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write the report as JSON here too.")
    ] = None

    def __post_init__(self) -> None:
        if level_fault(self.prefix):
            raise typer.BadParameter(f"--prefix {self.prefix!r} {level_fault(self.prefix)}")
        if self.report is not None and not self.report.parent.is_dir():
            raise typer.BadParameter(f"--report {self.report}: there is no folder {self.report.parent}")
        for url in self.node:
            _check_url(url)
        if not self.streams():
            raise typer.BadParameter("--light, --medium and --heavy are all 0: there is nothing to send")

    def streams(self) -> tuple[Stream, ...]:
        """What each device sends. Raises typer.BadParameter for a --task that cannot be read."""
        tasks: dict[Weight, tuple[str, object]] = {weight: (TASKS[weight], None) for weight in WEIGHTS}
        tasks |= dict(map(_read_task, self.task))
        rates = {Weight.LIGHT: self.light, Weight.MEDIUM: self.medium, Weight.HEAVY: self.heavy}
        return tuple(
            Stream(
                weight=weight,
                task=tasks[weight][0],
                payload=tasks[weight][1],
                per_minute=rates[weight],
                requirement=REQUIREMENTS[weight],
            )
            for weight in WEIGHTS
            if rates[weight] > 0
        )


def _check_url(url: str) -> None:
    try:
        BrokerUrl.parse(url)
    except SettingsError as fault:
        raise typer.BadParameter(f"--node: {fault}") from fault


def _read_task(text: str) -> tuple[Weight, tuple[str, object]]:
    weight, _, rest = text.partition("=")
    task, _, payload = rest.strip().partition(" ")
    if weight not in WEIGHTS or level_fault(task):
        raise typer.BadParameter(f"--task {text!r} is not WEIGHT=TASK, as in light=echo")
    try:
        return Weight(weight), (task, json.loads(payload) if payload.strip() else None)
    except ValueError as fault:
        raise typer.BadParameter(f"--task {text!r}: what follows the task is not JSON: {fault}") from fault
