"""The policies in virtual time: seeded, so the same on every machine."""

import functools
import statistics

import pytest

from benchmarks.collaboration.simulation import Result, Scenario, Simulation
from fog_node.placement import load_policy

BURST = Scenario(rates=(0.0,) * 4, run=0.05, slots=2, steady=True, delay=0.002, burst=300)
HOT = Scenario(rates=(80.0, 0, 0), run=0.05, slots=2, steady=True, deadline=0.5, delay=0.002, duration=20)
# A board 1 s old and tasks of 10 ms: the regime that a periodic board makes bad.
STALE = Scenario(rates=(90.0,) * 10, run=0.01, delay=0.0001, duration=10)


@functools.cache
def simulate(policy: str, scenario: Scenario) -> Result:
    return Simulation(scenario, load_policy(policy)).run()


@pytest.mark.parametrize("policy", ["deadline", "two-choices", "least-wait", "probe"])
def test_a_burst_does_not_herd_onto_one_idle_neighbour(policy: str) -> None:
    ran = simulate(policy, BURST).burst_at
    neighbours = [ran[name] for name in ("n1", "n2", "n3")]
    assert sum(ran.values()) == 300
    assert max(neighbours) <= 1.3 * statistics.mean(neighbours)


def test_the_original_herds() -> None:
    ran = simulate("original", BURST).burst_at
    assert max(ran.values()) > 200


@pytest.mark.parametrize("policy", ["deadline", "probe"])
def test_asking_makes_a_stale_board_harmless(policy: str) -> None:
    assert simulate(policy, STALE).mean < 0.75 * simulate("two-choices", STALE).mean
    assert simulate(policy, STALE).mean < 0.4 * simulate("local", STALE).mean


def test_twice_the_capacity_of_one_node_at_one_of_three_is_done_in_time() -> None:
    assert simulate("deadline", HOT).in_time >= 0.95
    assert simulate("local", HOT).in_time < 0.1


def test_the_default_moves_fewer_tasks_than_those_that_share_everything() -> None:
    assert simulate("deadline", HOT).hops_each < simulate("two-choices", HOT).hops_each


def test_a_run_can_be_repeated() -> None:
    again = Simulation(HOT, load_policy("deadline")).run()
    assert again.times == simulate("deadline", HOT).times
