"""The live pool in virtual time beside queueing theory. Seeded: nothing here depends on the machine."""

import random
import statistics

import pytest

from benchmarks.virtual_pool import Draw, VirtualPool, Wait, constant, exponential, poisson
from fog_node.jobs.waits import Estimate

JOBS = 6_000
LOAD = 0.8


@pytest.mark.parametrize("slots", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize(("draw", "spread", "error"), [(exponential, 1.0, 0.05), (constant, 0.0, 0.1)])
def test_jobs_wait_as_long_as_the_node_has_announced(
    slots: int, draw: Draw, spread: float, error: float
) -> None:
    """On average over those that find all slots busy, at a load of 0.8."""
    pool = VirtualPool(slots, lambda _: Estimate(run=1.0, spread=spread, seen=100))
    busy = [one for one in pool.run(poisson(JOBS, slots * LOAD, draw, seed=5)) if one.all_busy]
    real = statistics.fmean(one.real for one in busy)
    assert statistics.fmean(one.announced for one in busy) == pytest.approx(real, rel=error)


def two_classes(run: float, load: float, *, urgent: float | None) -> list[Wait]:
    """Exponential jobs on one slot, half of them due after `urgent` mean execution times, if at all."""

    def draw(chance: random.Random) -> tuple[str, float, float | None]:
        seconds, due = run * chance.expovariate(1.0), chance.random() < 0.5
        # So far apart that they never meet: the earliest deadline first is a priority then.
        return "task", seconds, None if urgent is None else run * (urgent if due else 1e9)

    pool = VirtualPool(1, lambda _: Estimate(run=run, spread=run, seen=100))
    return pool.run(poisson(5 * JOBS, load / run, draw, seed=3))


@pytest.mark.parametrize(("load", "urgent", "patient"), [(0.5, 2 / 3, 4 / 3), (0.8, 4 / 3, 20 / 3)])
def test_an_urgent_job_waits_as_long_as_cobham_says(load: float, urgent: float, patient: float) -> None:
    """Two classes without preemption, half of the load each.

    The waits are told as parts of what first come, first served takes on the same arrivals: that leaves a
    hundredth of error where the waits themselves have a tenth.
    """
    waits = two_classes(1.0, load, urgent=1e3)
    fifo = statistics.fmean(one.real for one in two_classes(1.0, load, urgent=None))
    due = statistics.fmean(one.real for one in waits if one.arrival.due == 1e3)
    rest = statistics.fmean(one.real for one in waits if one.arrival.due != 1e3)
    theory = load / (1 - load)
    assert due / fifo == pytest.approx(urgent / theory, rel=0.05)
    assert rest / fifo == pytest.approx(patient / theory, rel=0.05)


@pytest.mark.parametrize("run", [1.0, 1e-3])
def test_what_the_urgent_gain_the_others_lose(run: float) -> None:
    """Kleinrock's conservation law, on a path: whatever goes first, the waits weighted by work are the same.

    So no slot stands idle while a job waits, and no work is done twice: with one message a slot, with two,
    and with many jobs in a message.
    """
    in_order = two_classes(run, 0.8, urgent=None)
    by_deadline = two_classes(run, 0.8, urgent=1e3)
    weighted = [sum(one.real * one.arrival.run for one in waits) for waits in (in_order, by_deadline)]
    assert weighted[0] == pytest.approx(weighted[1], rel=1e-9)
