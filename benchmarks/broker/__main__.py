"""Runs the measurements: `python -m benchmarks.broker`; with `--check`, status 1 for a missed target."""

import asyncio
import contextlib
import resource
import statistics
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.broker import brokers, measures
from benchmarks.broker.load import idle_subscribers
from broker.engines.embedded import EmbeddedSettings

MEBIBYTE = 1024 * 1024
ROUNDS = 4
MQTT5, BEFORE = "embedded, MQTT 5", "embedded, before"


@dataclass(frozen=True)
class Line:
    """One result, with the target it has to meet, if there is one."""

    name: str
    value: str
    target: str = ""
    met: bool = True


async def rates(messages: int, before: Path | None) -> list[Line]:
    """Compare the rates of all brokers in rounds that take turns, and ours with many idle subscribers."""
    with contextlib.ExitStack() as stack:
        peers: dict[str, brokers.Broker] = {}
        for name, start in _peers(before):
            peers[name] = stack.enter_context(start)
        peers[MQTT5] = peers["embedded"]
        crowded = stack.enter_context(brokers.embedded())
        peers["embedded, 5,000 idle"] = crowded
        found: dict[str, list[float]] = {name: [] for name in peers}
        async with idle_subscribers(crowded.port, 5_000):
            for name, broker in peers.items():
                await measures.rate(broker, messages // 100, _version(name))
            for number in range(ROUNDS):
                # The order alternates, since whoever comes later finds a warmer machine.
                for name, broker in list(peers.items())[:: -1 if number % 2 else 1]:
                    share = messages // (10 if name == "stock amqtt" else 1)
                    found[name].append(await measures.rate(broker, share, _version(name)))
    median = {name: statistics.median(all_rounds) for name, all_rounds in found.items()}
    ours = median["embedded"]
    lines = [Line(f"messages a second, {name}", f"{value:,.0f}") for name, value in median.items()]
    ratio = ours / median["stock amqtt"]
    lines.append(Line("  ours / stock amqtt", f"{ratio:.2f}", ">= 3", ratio >= 3))
    ratio = median[MQTT5] / ours
    lines.append(Line("  MQTT 5 / 3.1.1", f"{ratio:.2f}", ">= 0.90", ratio >= 0.9))
    if BEFORE in median:
        ratio = ours / median[BEFORE]
        lines.append(Line("  ours / before", f"{ratio:.2f}", ">= 0.95", ratio >= 0.95))
    ratio = median["embedded, 5,000 idle"] / ours
    lines.append(Line("  5,000 idle / none", f"{ratio:.2f}", ">= 0.90", ratio >= 0.9))
    if "Mosquitto" in median:
        lines.append(Line("  ours / Mosquitto", f"{ours / median['Mosquitto']:.2f}"))
    return lines


def _version(name: str) -> int:
    return 5 if name == MQTT5 else 4


def _peers(before: Path | None) -> Iterator[tuple[str, AbstractContextManager[brokers.Broker]]]:
    yield "embedded", brokers.embedded()
    if before is not None:
        yield BEFORE, brokers.embedded(before)
    yield "stock amqtt", brokers.stock_amqtt()
    if brokers.has_mosquitto():
        yield "Mosquitto", brokers.mosquitto()


async def memory(count: int) -> list[Line]:
    """What an idle connection costs in memory."""
    lines = []
    for version, name in ((4, "3.1.1"), (5, "5")):
        with brokers.embedded() as broker:
            kib = await measures.bytes_per_connection(broker, count, version) / 1024
        lines.append(
            Line(f"KiB an idle connection of MQTT {name}, of {count:,}", f"{kib:.1f}", "<= 6", kib <= 6)
        )
    return lines


async def stalled(messages: int) -> list[Line]:
    """What a subscriber that stalls costs the broker and the other subscribers."""
    with brokers.embedded() as broker:
        found = await measures.with_stalled(broker, messages, 1024)
    settings = EmbeddedSettings()
    bound = settings.queue_bytes + 10 * MEBIBYTE
    ratio = found.rate / found.rate_without
    name = f"one stalled subscriber, {messages:,} x 1 kB: "
    return [
        Line(
            f"{name}memory grows by MiB",
            f"{found.growth / MEBIBYTE:.1f}",
            f"< {bound / MEBIBYTE:.0f}",
            found.growth < bound,
        ),
        Line(f"{name}rate of the others", f"{ratio:.2f}", ">= 0.90", ratio >= 0.9),
    ]


async def crowd(count: int) -> list[Line]:
    """Many connections at once."""
    with brokers.embedded() as broker:
        seconds, pinged, served = await measures.many_connections(broker, count)
    return [
        Line(f"{count:,} connections, seconds", f"{seconds:.1f}", "<= 60", seconds <= 60),
        Line("  answered a ping", f"{pinged:,}", f"{count:,}", pinged == count),
        Line("  got a message", f"{served:,}", f"{count:,}", served == count),
    ]


async def run(*, quick: bool, before: Path | None) -> list[Line]:
    """All measurements, one after the other."""
    share = 10 if quick else 1
    lines = await rates(60_000 // share, before)
    lines += await memory(5_000 // share)
    lines += await stalled(60_000 // share)
    lines += await crowd(10_000 // share)
    return lines


def main(
    check: Annotated[bool, typer.Option("--check", help="End with status 1 if a target is missed.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of everything.")] = False,
    before: Annotated[
        Path | None,
        typer.Option(
            metavar="TREE", help="Another checkout, with .venv, whose broker is compared.", exists=True
        ),
    ] = None,
) -> None:
    """Measure the embedded broker beside its peers, on loopback, and print the ratios."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lines = runner.run(run(quick=quick, before=before))
    table = Table("embedded broker", "found", "target", "")
    for line in lines:
        table.add_row(line.name, line.value, line.target, "" if line.met else "missed")
    Console().print(table)
    if check and not all(line.met for line in lines):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
