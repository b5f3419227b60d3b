"""Sending jobs to the places that were chosen, and taking them back."""

import pytest

from broker.contract.messages import ErrorCode, Stage, TaskError
from broker.contract.topics import CLOUD
from fog_node.jobs.job import Job
from fog_node.placement.policies.situation import Decision
from tests.support.centre import NODE, Deciding
from tests.support.jobs import job


def decision_for(node: Deciding, one: Job, place: str | None) -> Decision:
    """A decision for the node, neighbour or cloud of that name, or for nowhere."""
    decision = node.placer.decide_now(one, 0.0)
    candidates = {found.node: found for found in decision.situation}
    return Decision(candidates[place] if place else None, "as the test says", decision.situation)


@pytest.fixture
def node() -> Deciding:
    return Deciding(neighbours=["fog-b", "fog-c"], cloud=True)


def test_what_runs_here_goes_to_the_workers(node: Deciding) -> None:
    one = job()
    node.destinations.send(one, decision_for(node, one, NODE), 0.0)
    assert node.workers.jobs == [one]
    assert one.why == "as the test says"


@pytest.mark.parametrize("place", ["fog-b", CLOUD])
def test_what_runs_elsewhere_is_handed_over_and_its_device_told_where(node: Deciding, place: str) -> None:
    one = job()
    node.destinations.send(one, decision_for(node, one, place), 0.0)
    there = node.cloud if place == CLOUD else node.mesh.peer(place)
    assert there is not None
    assert there.jobs == [one]
    assert node.progress.told == [("1", (Stage.PLACED, place))]


@pytest.mark.parametrize("place", ["fog-b", CLOUD])
def test_a_full_outbox_ends_the_job(node: Deciding, place: str) -> None:
    there = node.cloud if place == CLOUD else node.mesh.peer(place)
    assert there is not None
    there.full = True
    one = job()
    node.destinations.send(one, decision_for(node, one, place), 0.0)
    assert isinstance(node.endings.only.error, TaskError)
    assert node.endings.only.error.code is ErrorCode.OVERLOADED
    assert node.progress.told == []


def test_a_neighbour_that_could_not_take_a_job_is_not_thought_busier_for_it(node: Deciding) -> None:
    node.mesh.by_name["fog-b"].full = True
    one = job()
    node.destinations.send(one, decision_for(node, one, "fog-b"), 0.0)
    (before,) = (found for found in decision_for(node, one, None).situation if found.node == "fog-b")
    assert before.wait == 0


def test_a_job_for_a_neighbour_that_was_dropped_meanwhile_is_placed_anew(node: Deciding) -> None:
    one = job()
    decision = decision_for(node, one, "fog-b")
    del node.mesh.by_name["fog-b"]
    node.destinations.send(one, decision, 0.0)
    assert node.workers.jobs == [one]


def test_a_job_without_a_place_ends_as_unroutable(node: Deciding) -> None:
    one = job()
    node.destinations.send(one, decision_for(node, one, None), 0.0)
    assert isinstance(node.endings.only.error, TaskError)
    assert node.endings.only.error.code is ErrorCode.UNROUTABLE


def test_a_job_is_taken_back_from_wherever_it_may_be(node: Deciding) -> None:
    one = job()
    node.destinations.recall(one)
    assert node.cloud is not None
    assert node.workers.withdrawn == [one]
    assert [there.withdrawn for there in (node.cloud, *node.mesh.peers())] == [[one]] * 3


def test_a_node_without_a_cloud_takes_a_job_back_all_the_same() -> None:
    node = Deciding()
    node.destinations.recall(job())
    assert len(node.workers.withdrawn) == 1


def test_what_has_to_run_here_does_not_ask_the_policy(node: Deciding) -> None:
    one = job()
    node.destinations.execute(one)
    assert node.workers.jobs == [one]
    assert node.noted == []
