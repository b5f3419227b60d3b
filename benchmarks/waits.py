"""The wait that a node announces beside the exact one: `python -m benchmarks.waits`. Virtual time, seeded."""

import statistics

import rich.table
import typer
from rich.console import Console

from benchmarks.virtual_pool import (
    VirtualPool,
    Wait,
    constant,
    exact_constant,
    exact_exponential,
    exponential,
    poisson,
)
from fog_node.jobs.waits import Estimate

LOAD = 0.8
SLOTS = (1, 2, 4, 8, 16, 32)
CASES = (("exponential", exponential, 1.0, 600_000), ("constant", constant, 0.0, 200_000))
"""Jobs of each: with so many the mean of exponential ones errs by a hundredth and a half."""


def announced(waits: list[Wait]) -> tuple[float, float]:
    """The mean announced to jobs that came when all slots were busy, and what these really waited."""
    busy = [one for one in waits if one.all_busy]
    return statistics.fmean(one.announced for one in busy), statistics.fmean(one.real for one in busy)


def main() -> None:
    """Print the table."""
    table = rich.table.Table("slots", "times", "exact", "waited", "announced", "error")
    for slots in SLOTS:
        for name, draw, spread, jobs in CASES:
            known = {"task": Estimate(run=1.0, spread=spread, seen=100)}
            pool = VirtualPool(slots, known.__getitem__)
            told, waited = announced(pool.run(poisson(jobs, slots * LOAD, draw, seed=slots)))
            exact = exact_exponential(slots, LOAD) if spread else exact_constant(slots, LOAD, seed=7)
            figures = [f"{one:.3f}" for one in (exact, waited, told)]
            table.add_row(str(slots), name, *figures, f"{told / exact - 1:+.1%}")
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
