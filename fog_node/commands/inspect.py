"""`fog-node peers` and `fog-node explain`: whom a running node knows, and where it would place a task."""

import sys
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.table import Table

from broker.contract.topics import WEIGHTS, Weight
from broker.programs.settings import add_command
from fog_node.commands.asking import AskingSettings, asked
from fog_node.commands.showing import show, show_json
from fog_node.inspection.control import AskPeers, AskPlace, PeerLine, Peers, PlaceAnswer
from fog_node.settings import FogSettings


@dataclass(frozen=True, kw_only=True)
class ExplainSettings(AskingSettings):
    """Which node is asked, and about which task."""

    weight: Annotated[Weight, typer.Option(help="The task's weight.")] = Weight.MEDIUM
    task: Annotated[str, typer.Option(help="Its name.")] = "echo"
    size: Annotated[int, typer.Option(min=0, help="Bytes of its payload.")] = 0
    deadline: Annotated[
        float | None, typer.Option(min=0, help="Seconds in which it has to be done.", show_default="none")
    ] = None


def peers(settings: AskingSettings) -> None:
    """Show the nodes next to a running one and the cloud: who is there, how far, and what a task would wait.

    Example: fog-node peers --name kitchen
    """
    found = asked(settings, AskPeers(), Peers)
    if settings.json:
        show_json(found)
        return
    table = Table("node", "broker", "state", "link", "heard", "round trip", "handed over", "wait", box=None)
    for one in found.peers:
        table.add_row(*_peer_row(one))
        # A single gateway is the cloud itself.
        for gateway in one.gateways if len(one.gateways) > 1 else []:
            table.add_row(f"  {gateway.name}", *_peer_row(gateway)[1:])
    show(table if found.peers else "no neighbours and no cloud")


def explain(settings: ExplainSettings) -> None:
    """Show where a running node would place a task now, and why.

    Example: fog-node explain --name kitchen --weight medium --task sum --deadline 0.5
    """
    if settings.weight not in WEIGHTS:
        sys.exit(f"error: --weight {settings.weight} is not a weight to run with: {', '.join(WEIGHTS)}")
    question = AskPlace(settings.weight, settings.task, settings.size, settings.deadline)
    found = asked(settings, question, PlaceAnswer)
    if not found.candidates:
        sys.exit(f"error: {found.why}")
    if settings.json:
        show_json(found)
        return
    table = Table("", "node", "wait ms", "run ms", "way ms", "done ms", "figures' age ms", "why", box=None)
    for one in found.candidates:
        numbers = (one.wait_ms, one.run_ms, one.transfer_ms, one.done_ms, one.age_ms)
        row = ["→" if one.chosen else "", one.node, *map(_number, numbers), one.verdict]
        table.add_row(*row)
    show(table)
    if not any(one.chosen for one in found.candidates):
        show(f"nowhere: {found.why}")


def _number(milliseconds: float | None) -> str:
    return "never" if milliseconds is None else f"{milliseconds:g}"


def _peer_row(one: PeerLine) -> tuple[str, ...]:
    return (
        one.name or "?",
        one.place,
        one.state,
        "up" if one.link else "down",
        "-" if one.age_s is None else f"{one.age_s:.1f} s ago",
        "-" if one.round_trip_ms is None else f"{one.round_trip_ms:.1f} ms",
        str(one.handed_over),
        ", ".join(f"{weight} {wait.wait_ms:g} ms/{wait.slots} slots" for weight, wait in one.waits.items()),
    )


def add_inspect_commands(app: typer.Typer) -> None:
    """Make them commands of the fog node's program."""
    add_command(app, AskingSettings, peers, name="peers", beside=FogSettings)
    add_command(app, ExplainSettings, explain, name="explain", beside=FogSettings)
