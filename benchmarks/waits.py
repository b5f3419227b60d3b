"""The wait that a node announces beside the exact one: `python -m benchmarks.waits`. Virtual time, seeded."""

import statistics
from functools import partial

import rich.table
from rich.console import Console

from benchmarks.virtual_pool import (
    Draw,
    VirtualPool,
    Wait,
    constant,
    exact_constant,
    exact_exponential,
    exponential,
    poisson,
)
from broker.contract.topics import Weight
from fog_node.jobs.waits import Estimate
from fog_node.placement.estimates import Estimates

LOAD = 0.8
SLOTS = (1, 2, 4, 8, 16, 32)
JOBS = 150_000


def announced(waits: list[Wait]) -> tuple[float, float]:
    """The mean announced to jobs that came when all slots were busy, and what these really waited."""
    busy = [one for one in waits if one.all_busy]
    return statistics.fmean(one.announced for one in busy), statistics.fmean(one.real for one in busy)


def exact(slots: int, spread: float) -> float:
    """The mean wait of those that find all slots busy."""
    if spread:
        return exact_exponential(slots, LOAD)
    return exact_constant(slots, LOAD, count=5 * JOBS, seed=7)


def with_known_times(slots: int, draw: Draw, spread: float) -> tuple[float, float]:
    """What is announced where the mean and the spread of the execution times are known."""
    estimate = Estimate(run=1.0, spread=spread, seen=100)
    return announced(
        VirtualPool(slots, lambda _: estimate).run(poisson(JOBS, slots * LOAD, draw, seed=slots))
    )


def with_learned_times(slots: int, draw: Draw) -> tuple[float, float]:
    """What is announced where they are learned meanwhile, as a node does."""
    estimates = Estimates()
    pool = VirtualPool(slots, partial(estimates.of, Weight.MEDIUM), partial(estimates.observe, Weight.MEDIUM))
    return announced(pool.run(poisson(JOBS, slots * LOAD, draw, seed=slots)))


def main() -> None:
    """Print the table."""
    table = rich.table.Table("slots", "times", "exact", "waited", "announced", "error", "learned", "error")
    for slots in SLOTS:
        for name, draw, spread in (("exponential", exponential, 1.0), ("constant", constant, 0.0)):
            theory = exact(slots, spread)
            told, waited = with_known_times(slots, draw, spread)
            learned, _ = with_learned_times(slots, draw)
            figures = [f"{one:.3f}" for one in (theory, waited, told)]
            errors = [f"{one / theory - 1:+.1%}" for one in (told, learned)]
            table.add_row(str(slots), name, *figures, errors[0], f"{learned:.3f}", errors[1])
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
