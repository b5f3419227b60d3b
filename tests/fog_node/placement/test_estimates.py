import random
import statistics

import pytest

from broker.contract.topics import Weight
from fog_node.placement.estimates import MAX_KNOWN, PRIORS, Estimates

MEDIUM = Weight.MEDIUM


def test_an_unknown_task_is_guessed_by_its_weight_and_never_above_its_time_limit() -> None:
    estimates = Estimates()
    assert estimates.of(MEDIUM, "sleep").run == PRIORS[MEDIUM]
    assert estimates.of(MEDIUM, "sleep", timeout=0.1).run == 0.1
    assert estimates.of(MEDIUM, "sleep").seen == 0


def test_mean_and_spread_are_learned() -> None:
    estimates, chance = Estimates(), random.Random(1)
    times = [chance.gauss(1.0, 0.2) for _ in range(400)]
    for ran in times:
        estimates.observe(MEDIUM, "sleep", ran)
    found = estimates.of(MEDIUM, "sleep")
    assert found.run == pytest.approx(1.0, abs=0.15)
    assert found.spread == pytest.approx(statistics.stdev(times), rel=0.5)


def test_a_task_that_has_become_slower_is_noticed() -> None:
    estimates = Estimates()
    for ran in [0.1] * 100 + [1.0] * 30:
        estimates.observe(MEDIUM, "sleep", ran)
    assert estimates.of(MEDIUM, "sleep").run > 0.9


def test_the_same_task_has_a_time_for_each_weight_and_place() -> None:
    estimates = Estimates()
    estimates.observe(MEDIUM, "pow", 1.0)
    estimates.observe(Weight.LIGHT, "pow", 0.001)
    estimates.observe(MEDIUM, "pow", 0.2, place="cloud")
    assert estimates.of(MEDIUM, "pow").run == 1.0
    assert estimates.of(MEDIUM, "pow", place="cloud").run == 0.2
    assert estimates.of(MEDIUM, "pow", place="fog-b").run == 1.0
    assert estimates.of(Weight.LIGHT, "pow").run == 0.001


def test_the_original_knows_nothing_of_what_ran_elsewhere() -> None:
    estimates = Estimates()
    for ran in (4.0, 2.0, 1.0):
        estimates.observe(MEDIUM, "pow", ran)
    estimates.observe(MEDIUM, "pow", 99.0, place="cloud")
    assert estimates.original()[MEDIUM] == pytest.approx(0.5 * 1 + 0.3 * 2 + 0.2 * 4)
    assert estimates.original()[Weight.LIGHT] == 0.0


def test_what_was_learned_survives_a_restart() -> None:
    estimates, again = Estimates(), Estimates()
    estimates.observe(MEDIUM, "pow", 1.0)
    estimates.observe(MEDIUM, "pow", 2.0)
    assert again.load(estimates.dump())
    assert again.of(MEDIUM, "pow") == estimates.of(MEDIUM, "pow")


@pytest.mark.parametrize("written", [b"", b"{", b"[]", b"\xff"])
def test_what_cannot_be_read_changes_nothing(written: bytes) -> None:
    estimates = Estimates()
    estimates.observe(MEDIUM, "pow", 1.0)
    assert not estimates.load(written)
    assert estimates.of(MEDIUM, "pow").run == 1.0


@pytest.mark.parametrize("row", ['["", "medium", "pow", -1.0, 0.0, 3]', '["", "auto", "pow", 1.0, 0.0, 3]'])
def test_figures_that_cannot_be_are_not_taken_over(row: str) -> None:
    estimates = Estimates()
    estimates.load(f'{{"rows": [{row}]}}'.encode())
    assert estimates.of(MEDIUM, "pow").seen == 0


def test_memory_is_bounded() -> None:
    estimates = Estimates()
    for number in range(MAX_KNOWN + 10):
        estimates.observe(MEDIUM, f"task-{number}", 1.0)
    assert estimates.of(MEDIUM, "task-0").seen == 0
    assert estimates.of(MEDIUM, f"task-{MAX_KNOWN + 9}").seen == 1


def test_typical_times_are_those_of_this_node_rounded() -> None:
    estimates = Estimates()
    for ran in (0.1234, 0.1234):
        estimates.observe(Weight.LIGHT, "echo", ran)
    estimates.observe(Weight.MEDIUM, "echo", 0.9)
    estimates.observe(Weight.LIGHT, "sum", 0.9, place="fog-b")
    assert estimates.typical_ms() == {"echo": 120.0}
