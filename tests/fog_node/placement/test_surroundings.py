"""What a node makes of the cloud: one place, however many gateways are there."""

import pytest
from msgspec.structs import replace

from broker.contract.messages import Load, NodeState
from broker.contract.topics import CLOUD, Weight
from fog_node.placement.board import Board
from fog_node.placement.estimates import Estimates
from fog_node.placement.policies.situation import Candidate, Work
from fog_node.placement.surroundings import Local, Surroundings


@pytest.fixture
def known() -> Surroundings:
    return Surroundings(node="fog-a", estimates=Estimates(), board=Board(), has_cloud=True)


def hear(known: Surroundings, name: str, *, slots: int, wait: float, now: float = 0.0) -> None:
    load = {Weight.HEAVY: Load(queued=0, running=0, slots=slots, estimated_wait_ms=1e3 * wait)}
    state = NodeState(node=name, online=True, version="", birth=1, cloud=True, load=load)
    known.cloud.hear(state, now)


def cloud_for(known: Surroundings, weight: Weight, now: float = 0.0) -> Candidate:
    work = Work(weight=weight, task="sleep")
    found = known.situation(
        work, Local(slots=1, wait=0.0), now, timeout=60.0, linked=tuple, cloud_linked=True
    ).cloud
    assert found is not None
    return found


def test_a_cloud_that_has_not_spoken_is_there_for_heavy_tasks_alone(known: Surroundings) -> None:
    assert cloud_for(known, Weight.HEAVY).slots == 1
    assert cloud_for(known, Weight.MEDIUM).slots == 0


def test_gateways_are_one_place_with_all_their_slots_and_their_mean_wait(known: Surroundings) -> None:
    hear(known, "gate-1", slots=2, wait=1.0)
    hear(known, "gate-2", slots=3, wait=3.0)
    found = cloud_for(known, Weight.HEAVY)
    assert (found.node, found.slots, found.wait) == (CLOUD, 5, 2.0)
    assert cloud_for(known, Weight.MEDIUM).slots == 0


def test_a_silent_gateway_counts_no_more(known: Surroundings) -> None:
    hear(known, "gate-1", slots=2, wait=1.0)
    hear(known, "gate-2", slots=3, wait=3.0, now=10.0)
    assert cloud_for(known, Weight.HEAVY, now=10.0).slots == 3


def test_without_a_gateway_the_cloud_is_away_though_its_broker_answers(known: Surroundings) -> None:
    hear(known, "gate-1", slots=2, wait=1.0)
    assert cloud_for(known, Weight.HEAVY).alive
    assert known.cloud.sweep(10.0) == ["gate-1"]
    assert not cloud_for(known, Weight.HEAVY, now=10.0).alive


def test_what_was_sent_to_the_cloud_is_shared_by_its_gateways_and_worked_off(known: Surroundings) -> None:
    hear(known, "gate-1", slots=1, wait=0.0)
    hear(known, "gate-2", slots=1, wait=0.0)
    chosen = replace(cloud_for(known, Weight.HEAVY), run=2.0)
    known.sent(chosen, Weight.HEAVY, 0.0)
    assert cloud_for(known, Weight.HEAVY).wait == 1.0
    assert cloud_for(known, Weight.HEAVY, now=0.5).wait == 0.5
