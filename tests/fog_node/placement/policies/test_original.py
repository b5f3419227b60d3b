"""The original's scheduler, by the facts known of it."""

import random

import pytest

from broker.contract.topics import Weight
from fog_node.placement import Candidate, Decision, Place, Situation, Work
from fog_node.placement.policies.original import backlog, execution_time, original
from tests.fog_node.placement.policies.situations import around, here, near, up

LIGHT, MEDIUM, HEAVY = Weight.LIGHT, Weight.MEDIUM, Weight.HEAVY


def decide(work: Work, situation: Situation) -> Decision:
    return original(work, situation, random.Random(1))


def work(weight: Weight, budget: float | None = None, *, hops: int = 4, **more: object) -> Work:
    visited = more.get("visited", ())
    assert isinstance(visited, tuple)
    return Work(weight=weight, budget=budget, hops_left=hops, visited=visited)


@pytest.mark.parametrize(
    ("latest", "estimate"),
    [
        ((), 0.0),
        ((3.0,), 3.0),
        ((1.0, 2.0), 0.7 * 1 + 0.3 * 2),
        ((1.0, 2.0, 4.0), 0.5 * 1 + 0.3 * 2 + 0.2 * 4),
        ((1.0, 2.0, 4.0, 99.0), 0.5 * 1 + 0.3 * 2 + 0.2 * 4),
    ],
)
def test_the_last_three_execution_times_are_weighted(latest: tuple[float, ...], estimate: float) -> None:
    assert execution_time(latest) == pytest.approx(estimate)


def test_the_wait_is_the_sum_over_weights_of_count_times_estimate() -> None:
    assert backlog({LIGHT: 3, MEDIUM: 2, HEAVY: 5}, {LIGHT: 0.001, MEDIUM: 1.2}) == pytest.approx(2.403)


def test_the_number_of_slots_does_not_count() -> None:
    assert decide(work(MEDIUM, 1.0), around(here(0.0, backlog=1.1, slots=8), near("b"))).node == "b"


def test_a_task_marked_for_the_cloud_goes_there() -> None:
    marked = Work(weight=LIGHT, for_cloud=True)
    assert decide(marked, around(here(), near("b"), cloud=up())).place is Place.CLOUD


@pytest.mark.parametrize("weight", [LIGHT, MEDIUM, HEAVY])
def test_whatever_meets_its_requirement_here_stays_even_heavy_work(weight: Weight) -> None:
    situation = around(here(backlog=0.5), near("b"), cloud=up())
    assert decide(work(weight, 0.5), situation).place is Place.HERE


@pytest.mark.parametrize(("weight", "requirement"), [(LIGHT, 0.2), (MEDIUM, 2.0), (HEAVY, 5.0)])
def test_a_task_without_a_requirement_has_that_of_the_default_workload(
    weight: Weight, requirement: float
) -> None:
    assert decide(work(weight), around(here(backlog=requirement), near("b"))).place is Place.HERE
    assert decide(work(weight), around(here(backlog=requirement + 0.01), near("b"))).node == "b"


@pytest.mark.parametrize(("weight", "place"), [(MEDIUM, Place.HERE), (HEAVY, Place.CLOUD)])
def test_a_task_that_has_used_up_its_hops_stays_unless_it_is_heavy(weight: Weight, place: Place) -> None:
    situation = around(here(backlog=9.0), near("b"), cloud=up())
    assert decide(work(weight, 1.0, hops=0), situation).place is place


@pytest.mark.parametrize(("weight", "place"), [(MEDIUM, Place.HERE), (HEAVY, Place.CLOUD)])
def test_a_task_stays_if_no_neighbour_is_faster_unless_it_is_heavy(weight: Weight, place: Place) -> None:
    situation = around(here(backlog=9.0), near("b", backlog=8.999, transfer=0.001), cloud=up())
    assert decide(work(weight, 1.0), situation).place is place


@pytest.mark.parametrize("weight", [LIGHT, MEDIUM, HEAVY])
def test_everything_else_goes_to_the_neighbour_with_the_least_wait_and_delay(weight: Weight) -> None:
    neighbours = (near("b", backlog=1.0, transfer=0.2), near("c", backlog=1.1, transfer=0.05))
    assert decide(work(weight, 1.0), around(here(backlog=9.0), *neighbours, cloud=up())).node == "c"


def test_nodes_visited_are_left_out() -> None:
    situation = around(here(backlog=9.0), near("b"), near("c", backlog=2.0))
    assert decide(work(MEDIUM, 1.0, visited=("b",)), situation).node == "c"


@pytest.mark.parametrize("neighbours", [(), (near("b", backlog=10.0),)])
def test_without_a_cloud_the_cloud_branches_become_local(neighbours: tuple[Candidate, ...]) -> None:
    situation = around(here(backlog=9.0), *neighbours)
    assert decide(work(HEAVY, 1.0), situation).place is Place.HERE
    assert decide(Work(weight=HEAVY, for_cloud=True), situation).place is Place.HERE


def test_without_neighbours_only_marked_and_late_heavy_tasks_go_up() -> None:
    late = around(here(backlog=9.0), cloud=up())
    assert decide(work(MEDIUM, 1.0), late).place is Place.HERE
    assert decide(work(HEAVY, 1.0), late).place is Place.CLOUD
    assert decide(work(HEAVY, 1.0), around(here(backlog=0.5), cloud=up())).place is Place.HERE
    assert decide(Work(weight=LIGHT, for_cloud=True), late).place is Place.CLOUD
