"""Where a job goes, by what this node knows, on a clock of the tests' own."""

import random

import pytest

from broker.contract.topics import CLOUD, Weight
from fog_node.placement.answers import LONGEST_WAIT
from fog_node.placement.placer import DEFAULT_HOPS, IDLE, Asking, work_of
from fog_node.placement.policies.situation import Decision, Place, Probe, Situation, Work
from tests.support.centre import NODE, Deciding
from tests.support.jobs import job


class AsksFirst:
    """A policy that asks two neighbours, then takes the first of those that were asked."""

    def __call__(self, _work: Work, situation: Situation, _chance: random.Random, /) -> Decision | Probe:
        if not situation.probed:
            return Probe(("fog-b", "fog-c"))
        asked = next(one for one in situation if one.node == situation.probed[0])
        return Decision(asked, "asked", situation)


def asks_for_ever(_work: Work, _situation: Situation, _chance: random.Random, /) -> Decision | Probe:
    return Probe(("fog-b",))


def test_a_job_stays_where_a_slot_is_free() -> None:
    assert Deciding(neighbours=["fog-b"]).placer.decide_now(job(), 0.0).place is Place.HERE


def test_a_job_goes_to_an_idle_neighbour_when_it_would_wait_here() -> None:
    node = Deciding(neighbours=["fog-b"])
    node.busy()
    assert node.placer.decide_now(job(), 0.0).node == "fog-b"


def test_a_neighbour_that_cannot_be_reached_gets_nothing() -> None:
    node = Deciding(neighbours=["fog-b"])
    node.busy()
    node.mesh.by_name.clear()
    assert node.placer.decide_now(job(), 0.0).node == NODE


def test_without_workers_and_a_cloud_there_is_no_place() -> None:
    assert Deciding(slots={}).placer.decide_now(job(), 0.0).place is Place.NOWHERE


def test_what_only_the_cloud_can_run_waits_for_a_cloud_that_is_away() -> None:
    node = Deciding(slots={}, cloud=True)
    assert node.cloud is not None
    node.cloud.reachable = False
    decision = node.placer.decide_now(job(), 0.0)
    assert decision.node == CLOUD
    assert decision.why.startswith("waits for the cloud")
    assert node.placer.decide_now(job(), 0.0, without_cloud=True).place is Place.NOWHERE


def test_the_policy_may_have_neighbours_asked_before_it_chooses() -> None:
    node = Deciding(neighbours=["fog-b", "fog-c"], policy=AsksFirst())
    asking = node.placer.decide(job(), 0.0)
    assert isinstance(asking, Asking)
    assert asking.nodes == ("fog-b", "fog-c")
    assert node.noted == []
    assert node.placer.decide_now(job(), 0.0, probed=("fog-c", "fog-b")).node == "fog-c"


def test_neighbours_at_an_unknown_distance_get_the_longest_time_to_answer() -> None:
    node = Deciding(neighbours=["fog-b", "fog-c"], policy=AsksFirst())
    node.known.board.measured("fog-b", 0.01)
    assert node.placer.decide(job(), 0.0) == Asking(("fog-b", "fog-c"), LONGEST_WAIT)
    node.known.board.measured("fog-c", 0.004)
    assert node.placer.decide(job(), 0.0) == Asking(("fog-b", "fog-c"), 0.02)


def test_a_policy_that_wants_to_ask_is_taken_to_have_asked_where_there_is_no_time() -> None:
    node = Deciding(neighbours=["fog-b", "fog-c"], policy=AsksFirst())
    assert node.placer.decide_now(job(), 0.0).node == "fog-b"


def test_a_policy_that_asks_again_and_again_finds_no_place() -> None:
    node = Deciding(neighbours=["fog-b"], policy=asks_for_ever)
    decision = node.placer.decide_now(job(), 0.0)
    assert decision.place is Place.NOWHERE
    assert "again and again" in decision.why


def test_each_decision_is_noted_once() -> None:
    node = Deciding()
    one = job()
    decision = node.placer.decide(one, 0.0)
    assert [(noted, chosen) for noted, _, chosen in node.noted] == [(one, decision)]


def test_a_job_is_given_to_the_node_it_is_meant_for_while_that_can_take_it() -> None:
    node = Deciding(neighbours=["fog-b"])
    assert node.placer.decide_for(job(), "fog-b", 0.0).node == "fog-b"
    assert node.placer.decide_for(job(route=("fog-b",)), "fog-b", 0.0).node == NODE
    assert node.placer.decide_for(job(), "fog-unheard-of", 0.0).node == NODE


def test_what_was_sent_counts_at_the_neighbour_until_its_state_shows_it() -> None:
    node = Deciding(neighbours=["fog-b"])
    one = job()
    node.placer.placed(one, node.placer.decide_for(one, "fog-b", 0.0), 0.0)
    view = node.known.board.view("fog-b", Weight.MEDIUM, 0.0)
    assert view is not None
    assert view.wait > 0


def test_a_placed_job_knows_why_and_when_it_is_expected() -> None:
    node = Deciding()
    one = job()
    node.placer.placed(one, node.placer.decide_now(one, 0.0), 0.0)
    assert one.why == "a slot is free here"
    assert one.predicted == node.here.run_of(one)


def test_free_slots_name_every_node_once_before_any_twice() -> None:
    node = Deciding(neighbours=["fog-b", "fog-c"], slots={Weight.MEDIUM: 2})
    node.hear("fog-c", slots=1)
    assert node.placer.free_slots(job(), 0.0) == [NODE, "fog-b", "fog-c", NODE, "fog-b"]


def test_a_neighbour_at_which_jobs_wait_has_no_free_slots() -> None:
    node = Deciding(neighbours=["fog-b"])
    node.hear("fog-b", wait=IDLE)
    assert node.placer.free_slots(job(), 0.0) == [NODE, NODE]


def test_neighbours_have_no_free_slots_for_a_node_without_workers() -> None:
    assert Deciding(slots={}, neighbours=["fog-b"]).placer.free_slots(job(), 0.0) == []


def test_a_job_that_may_not_be_handed_on_has_free_slots_only_here() -> None:
    node = Deciding(neighbours=["fog-b"])
    assert node.placer.free_slots(job(max_hops=0), 0.0) == [NODE, NODE]


@pytest.mark.parametrize(
    ("max_hops", "route", "left"),
    [(None, (), DEFAULT_HOPS), (0, (), 0), (3, ("x",), 2), (1, ("x", "y"), 0)],
)
def test_a_job_may_be_handed_on_as_often_as_its_route_leaves(
    max_hops: int | None, route: tuple[str, ...], left: int
) -> None:
    assert work_of(job(max_hops=max_hops, route=route), 0.0).hops_left == left


def test_a_policy_sees_what_is_left_of_the_deadline_and_where_the_job_must_not_go() -> None:
    work = work_of(job(deadline=5.0, route=("x",), avoided=("y",), payload=b"123"), 2.0)
    assert (work.budget, work.visited, work.size) == (3.0, ("x", "y"), 3)


def test_a_part_is_not_judged_by_how_long_the_whole_runs() -> None:
    assert work_of(job(task="add", part=True), 0.0).task == "add/part"
