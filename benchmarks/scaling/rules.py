"""What rules cost a message that none of them means: with many rules beside none, at the embedded broker."""

import contextlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.contestants.node import Node, node
from benchmarks.load.device import Device
from benchmarks.load.frames import PublishTemplate
from benchmarks.load.measured import Measured, Rounds
from benchmarks.percentiles import Latency
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Report, Table, Target, figure
from broker.contract.filters import FilterSet
from fog_node.rule_loading import load_rules
from fog_node.settings import FogSettings
from fog_tasks.builtin import echo

RULES = (0, 100, 1_000, 10_000)
MOST_FILTERS = 1_000
BURST = 200
"""Messages that are sent together; the next ones leave once these are acknowledged."""

TOPIC = "tele/plug8/"
"""What comes is published below it: two levels are those of a rule, or three, and then it has no more."""

TOPICS = 64
"""As many different ones: a device has a few, and publishes on them again and again."""

PAYLOAD = b'{"ENERGY":{"Power":12.5}}'
LOOK_UPS = 20_000
TARGET = 1.1
"""How much more a message may cost with the most rules."""


def filter_of(number: int) -> str:
    """Every second one has a level with a name."""
    plug = f"tele/plug{number % MOST_FILTERS}"
    return f"{plug}/SENSOR" if number % 2 else f"{plug}/{{channel}}/STATE"


def rules_file(folder: Path, count: int) -> Path:
    """A file of so many rules, as people write them; several have the same filter."""
    rules = (
        f'[[rule]]\nname = "rule-{number}"\non = "{filter_of(number)}"\ntask = "echo"\n'
        'arguments = { value = "ENERGY.Power" }\nwhen = "ENERGY.Power > `5`"\n'
        for number in range(count)
    )
    path = folder / f"rules-{count}.toml"
    path.write_text("\n".join(rules), "utf-8")
    return path


async def window(started: Node, device: Device, seconds: float) -> Measured:
    """Publish for so long, with QoS 1."""
    template, number = PublishTemplate(TOPIC, PAYLOAD), 0
    before, began = started.parts.usage(), time.monotonic()
    while time.monotonic() - began < seconds:
        for _ in range(BURST):
            device.send(template, number % TOPICS)
            number += 1
        await device.acknowledged()
    usage, took = started.parts.usage_since(before), time.monotonic() - began
    return Measured(finished=number, seconds=took, latency=Latency.of([took]), usage=usage)


async def find(files: Mapping[int, Path], effort: Effort) -> dict[int, Rounds]:
    """All rounds, on nodes that run beside each other and take turns."""
    taken: dict[int, list[Measured]] = {count: [] for count in files}
    async with contextlib.AsyncExitStack() as stack:
        places = {}
        for count, path in files.items():
            options = ("--rules", str(path)) if count else ()
            started = await stack.enter_async_context(node("embedded", *options))
            device = await Device.connect(started.port, "plug", lambda *_: None)
            stack.callback(device.close)
            places[count] = started, device
        for place in places.values():
            await window(*place, effort.seconds)
        # More than elsewhere: what is looked for is a few hundredths.
        rounds = 3 * effort.rounds
        with progress("rules", rounds * len(places)) as begin:
            for number in range(rounds):
                for count in list(places)[:: -1 if number % 2 else 1]:
                    begin(f"{count:,}")
                    taken[count].append(await window(*places[count], 2 * effort.seconds))
    return {count: Rounds(rounds) for count, rounds in taken.items()}


@dataclass(frozen=True)
class Alone:
    """A file of rules in this process: seconds to read it, its filters, and µs to look up a topic."""

    reading: float
    filters: int
    first: float
    again: float

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read it as a node does, and look up topics that none of its rules means."""
        began = time.perf_counter()
        rulebook = load_rules(FogSettings(rules=[path]), {"echo": echo})
        reading = time.perf_counter() - began
        topics = [f"{TOPIC}{number}" for number in range(LOOK_UPS)]
        first = min(_look_up(FilterSet(rulebook.filters), topics) for _ in range(5))
        known = FilterSet(rulebook.filters)
        again = min(_look_up(known, topics[:TOPICS] * (LOOK_UPS // TOPICS)) for _ in range(5))
        return cls(reading, len(rulebook.filters), first, again)


def _look_up(filters: FilterSet, topics: list[str]) -> float:
    began = time.perf_counter()
    for one in topics:
        filters.matches(one)
    return 1e6 * (time.perf_counter() - began) / len(topics)


async def measure(effort: Effort) -> Report:
    """Measure with each number of rules."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as folder:
        files = {count: rules_file(Path(folder), count) for count in RULES}
        found = await find(files, effort)
        alone = {count: Alone.of(path) for count, path in files.items()}
    rows = [
        (
            *(f"{count:,}", f"{alone[count].filters:,}", f"{rounds.rate:,.0f}"),
            *(figure(rounds.cpu_us("node")), figure(_times(rounds, found[0]))),
            *(f"{alone[count].again:.2f} / {alone[count].first:.2f}", f"{alone[count].reading:.1f}"),
        )
        for count, rounds in found.items()
    ]
    columns = (
        *("rules", "filters", "messages a second", "node's µs a message", "times that without rules"),
        *("µs to look up a topic again / for the first time", "s to read the rules"),
    )
    target = Target(
        f"a message that none of {RULES[-1]:,} rules means, times one without rules",
        _times(found[RULES[-1]], found[0]),
        Bound.AT_MOST,
        TARGET,
    )
    heading = "A message that no rule means (QoS 1, embedded broker)"
    return Report(name="rules", tables=[Table(heading, columns, rows)], targets=[target])


def _times(rounds: Rounds, base: Rounds) -> float:
    return rounds.times(base, lambda one: one.cpu_us("node"))
