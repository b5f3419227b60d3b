import random

import pytest

from broker.contract.topics import Weight
from fog_node.placement import Candidate, Decision, Place, Probe, Situation, Work, explain
from fog_node.placement.policies.deadline import Deadline
from tests.fog_node.placement.policies.situations import around, here, medium, near, up

DEADLINE = Deadline()


def decide(work: Work, situation: Situation, seed: int = 1) -> Decision:
    found = DEADLINE(work, situation, random.Random(seed))
    assert isinstance(found, Decision), found
    return found


def heavy(budget: float | None = None) -> Work:
    return Work(weight=Weight.HEAVY, budget=budget)


def test_light_work_stays_however_long_the_queue() -> None:
    work = Work(weight=Weight.LIGHT, budget=0.1)
    assert decide(work, around(here(wait=9.0), near("b"))).place is Place.HERE


def test_the_nearest_place_that_meets_the_deadline_wins_over_a_sooner_one() -> None:
    assert decide(medium(1.0), around(here(wait=0.5), near("b", wait=0.0))).place is Place.HERE


def test_a_neighbour_takes_what_would_be_late_here() -> None:
    assert decide(medium(0.5), around(here(wait=0.6), near("b"))).node == "b"


def test_the_cloud_takes_what_would_be_late_in_the_fog() -> None:
    assert decide(medium(0.5), around(here(wait=0.6), near("b", wait=0.6), cloud=up())).place is Place.CLOUD


def test_where_nobody_meets_the_deadline_the_soonest_wins() -> None:
    situation = around(here(wait=3.0), near("b", wait=1.0), cloud=up(wait=2.0))
    assert decide(medium(0.5), situation).node == "b"


def test_the_way_there_counts() -> None:
    situation = around(here(wait=0.6), near("b", transfer=0.9))
    assert decide(medium(0.5), situation).place is Place.HERE


def test_an_uncertain_execution_time_counts() -> None:
    unsure = Candidate(node="a", place=Place.HERE, run=0.2, spread=0.3)
    assert decide(medium(0.5), Situation(here=unsure, neighbours=(near("b"),))).node == "b"


def test_without_a_deadline_a_free_slot_here_wins() -> None:
    assert decide(medium(), around(here(wait=0.0, run=1.0), near("b", run=0.1))).place is Place.HERE


def test_without_a_deadline_work_that_would_wait_goes_where_it_is_done_first() -> None:
    assert decide(medium(), around(here(wait=0.3), near("b"))).node == "b"


def test_a_small_gain_does_not_move_a_task() -> None:
    assert decide(medium(), around(here(wait=0.3), near("b", wait=0.28))).place is Place.HERE


def test_a_neighbour_is_never_asked_twice_for_the_same_task() -> None:
    situation = around(here(wait=9.0), near("b"))
    assert decide(medium(visited=("b",)), situation).place is Place.HERE


def test_a_task_without_hops_left_goes_to_no_neighbour() -> None:
    assert decide(medium(0.1, hops=0), around(here(wait=9.0), near("b"))).place is Place.HERE


def test_stale_figures_are_asked_for_anew_and_the_answers_decide() -> None:
    before = around(here(wait=1.0), near("b", age=1.0), near("c", age=1.0), near("d", age=1.0))
    asked = DEADLINE(medium(0.5), before, random.Random(1))
    assert isinstance(asked, Probe)
    assert len(set(asked.nodes)) == 2
    slow, fast = asked.nodes
    answered = Situation(
        here=here(wait=1.0),
        neighbours=(near(slow, wait=2.0), near(fast, wait=0.1)),
        probed=asked.nodes,
    )
    assert decide(medium(0.5), answered).node == fast


def test_nobody_is_asked_where_asking_cannot_pay_off() -> None:
    busy = around(here(wait=0.004, run=0.002), near("b", age=1.0, run=0.002), near("c", age=1.0, run=0.002))
    assert decide(medium(), busy).place is Place.HERE


def test_fresh_figures_are_believed() -> None:
    situation = around(here(wait=1.0), near("b", age=0.01), near("c", age=0.01))
    assert decide(medium(0.5), situation).place is Place.NEIGHBOUR


def test_it_never_takes_the_minimum_of_all_neighbours() -> None:
    situation = around(
        here(wait=9.0), *(near(name, wait=0.01 * place) for place, name in enumerate("bcdefg"))
    )
    assert {decide(medium(), situation, seed).node for seed in range(100)} == set("bcdef")


def test_heavy_work_prefers_the_cloud() -> None:
    assert decide(heavy(), around(here(), cloud=up())).place is Place.CLOUD
    assert decide(heavy(1.0), around(here(), near("b"), cloud=up())).place is Place.CLOUD


@pytest.mark.parametrize("cloud", [up(alive=False), up(wait=60.0)])
def test_heavy_work_comes_back_to_the_fog(cloud: Candidate) -> None:
    assert decide(heavy(), around(here(), cloud=cloud)).place is Place.HERE
    assert decide(heavy(1.0), around(here(wait=5.0), near("b"), cloud=cloud)).node == "b"


def test_an_explanation_shows_every_candidate_and_what_spoke_against_it() -> None:
    situation = around(here(wait=0.6), near("b"), near("c", alive=False), cloud=up(wait=1.0))
    work = medium(0.5)
    lines = explain(work, decide(work, situation))
    assert [(line.node, line.chosen, line.verdict) for line in lines] == [
        ("a", False, "would be done 150 ms after the deadline"),
        ("b", True, "nearest that meets the deadline"),
        ("c", False, "is away"),
        ("cloud", False, "would be done 600 ms after the deadline"),
    ]


def test_an_explanation_says_that_a_sooner_place_was_not_preferred() -> None:
    work = heavy()
    lines = explain(work, decide(work, around(here(), cloud=up())))
    assert lines[0].verdict == "would be done 50 ms sooner, but the policy prefers cloud"
