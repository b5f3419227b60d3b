"""How much sooner a task is done in parts by one, two and three nodes than undivided."""

import statistics
from pathlib import Path

import msgspec
from rich.table import Table

from benchmarks.collaboration.nodes import SLOTS, nodes
from benchmarks.errors import BenchmarkFailed
from broker.contract.messages import Outcome
from weighbridge import Device

TASKS = str(Path(__file__).parent / "waiting_tasks.py")
PIECES = 60
SECONDS = 0.05
COUNTS = (1, 2, 3)
TIMEOUT = 60.0
WARM_UP = 5
"""Tasks in which the nodes have to have heard of each other, and their workers to have loaded the task."""


async def scatter(folder: Path, *, quick: bool) -> Table:
    """Measure one task at a time, at nodes that have nothing else to do."""
    rounds = 2 if quick else 10
    undivided, _ = await _median(_below(folder, "whole"), 1, "whole", rounds)
    title = f"One task of {PIECES} pieces of {SECONDS:g} s, done in parts"
    table = Table("where", "slots", "seconds", "sooner by", "parts", title=title)
    table.add_row("undivided", "1", f"{undivided:.2f}", "1.0", "")
    for count in COUNTS:
        seconds, why = await _median(_below(folder, "parts"), count, "in_parts", rounds)
        numbers = (str(SLOTS * count), f"{seconds:.2f}", f"{undivided / seconds:.1f}")
        table.add_row(f"{count} node" + "s" * (count > 1), *numbers, why)
    return table


async def _median(folder: Path, count: int, task: str, rounds: int) -> tuple[float, str]:
    """Seconds from submission to outcome, and what the last outcome says of the parts."""
    async with (
        nodes(folder, count, "deadline", tasks=TASKS) as (first, *others),
        Device(first.url, name="bench") as device,
    ):
        for _ in range(WARM_UP):
            outcome = await _submit(device, task)
            if all(f"{other.name} " in _why(outcome) for other in others):
                break
        else:
            raise BenchmarkFailed(f"{task} does not reach all of {count} nodes: {_why(outcome)}")
        outcomes = [await _submit(device, task) for _ in range(rounds)]
    return statistics.median(one.total_ms / 1e3 for one in outcomes), _why(outcomes[-1])


async def _submit(device: Device, task: str) -> Outcome:
    pending = await device.send("medium", task, {"pieces": list(range(PIECES)), "seconds": SECONDS})
    outcome = await pending.outcome(timeout=TIMEOUT)
    if not isinstance(outcome.value, msgspec.Raw) or msgspec.json.decode(outcome.value) != sum(range(PIECES)):
        raise BenchmarkFailed(f"{task} is answered with {outcome}")
    return outcome


def _why(outcome: Outcome) -> str:
    return "" if isinstance(outcome.why, msgspec.UnsetType) else outcome.why


def _below(folder: Path, name: str) -> Path:
    """A folder of its own: nodes of the same name are not to find each other's journal and estimates."""
    found = folder / name
    found.mkdir(exist_ok=True)
    return found
