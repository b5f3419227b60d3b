import random
from collections import Counter

import pytest

from broker.contract.topics import Weight
from broker.errors import SettingsError
from fog_node.placement import Decision, Place, Probe, Situation, Work, load_policy
from fog_node.placement.policies.probing import ProbeSome
from tests.fog_node.placement.policies.situations import around, here, medium, near, up

HEAVY, LIGHT = Work(weight=Weight.HEAVY), Work(weight=Weight.LIGHT)


def decide(name: str, work: Work, situation: Situation, seed: int = 1) -> Decision:
    found = load_policy(name)(work, situation, random.Random(seed))
    assert isinstance(found, Decision)
    return found


@pytest.mark.parametrize(
    ("policy", "work", "place"),
    [
        ("weight", LIGHT, Place.HERE),
        ("weight", medium(), Place.HERE),
        ("weight", HEAVY, Place.CLOUD),
        ("local", HEAVY, Place.HERE),
        ("cloud", LIGHT, Place.CLOUD),
        ("random", LIGHT, Place.HERE),
        ("two-choices", HEAVY, Place.CLOUD),
        ("least-wait", LIGHT, Place.HERE),
    ],
)
def test_the_place_a_weight_belongs_to(policy: str, work: Work, place: Place) -> None:
    assert decide(policy, work, around(here(wait=1.0), near("b", wait=2.0), cloud=up())).place is place


@pytest.mark.parametrize("policy", ["weight", "cloud", "random", "two-choices", "least-wait", "deadline"])
def test_heavy_work_stays_in_the_fog_while_the_cloud_is_away(policy: str) -> None:
    assert decide(policy, HEAVY, around(here(), cloud=up(alive=False))).place is Place.HERE


@pytest.mark.parametrize(
    "policy", ["weight", "local", "cloud", "random", "two-choices", "least-wait", "deadline"]
)
def test_work_goes_nowhere_if_nobody_has_a_worker_for_it(policy: str) -> None:
    decision = decide(policy, medium(), around(here(slots=0), near("b", alive=False)))
    assert decision.place is Place.NOWHERE


@pytest.mark.parametrize(
    "policy", ["weight", "local", "random", "two-choices", "least-wait", "deadline", "original"]
)
def test_work_goes_elsewhere_if_only_there_are_workers_for_it(policy: str) -> None:
    assert decide(policy, LIGHT, around(here(slots=0), near("b"))).node == "b"


def test_random_draws_each_node_as_often() -> None:
    policy, chance = load_policy("random"), random.Random(1)
    situation = around(here(), near("b"), near("c"), cloud=up())
    drawn: Counter[str] = Counter()
    for _ in range(3000):
        found = policy(medium(), situation, chance)
        assert isinstance(found, Decision)
        drawn[found.node] += 1
    assert set(drawn) == {"a", "b", "c"}
    assert min(drawn.values()) > 900


def test_two_choices_never_takes_the_slowest_of_three() -> None:
    situation = around(here(wait=3.0), near("b", wait=2.0), near("c", wait=1.0))
    assert {decide("two-choices", medium(), situation, seed).node for seed in range(50)} == {"b", "c"}


def test_least_wait_takes_the_minimum_of_the_board() -> None:
    situation = around(here(wait=3.0), near("b", wait=2.0), near("c", wait=1.0))
    assert decide("least-wait", medium(), situation).node == "c"


@pytest.mark.parametrize("policy", ["random", "two-choices", "least-wait", "probe"])
def test_what_a_neighbour_handed_over_stays(policy: str) -> None:
    situation = around(here(wait=9.0), near("c"))
    assert decide(policy, medium(visited=("b",)), situation).place is Place.HERE


def test_probe_keeps_a_task_below_the_threshold() -> None:
    policy = ProbeSome(threshold=0.1)
    found = policy(medium(), around(here(wait=0.1), near("b")), random.Random(1))
    assert isinstance(found, Decision)
    assert found.place is Place.HERE


def test_probe_asks_as_many_as_it_is_told_and_takes_the_soonest_of_them() -> None:
    policy = ProbeSome(fan_out=2)
    before = around(here(wait=1.0), near("b"), near("c"), near("d"))
    asked = policy(medium(), before, random.Random(1))
    assert isinstance(asked, Probe)
    assert len(set(asked.nodes)) == 2
    answers = {asked.nodes[0]: 0.5, asked.nodes[1]: 0.2}
    situation = Situation(
        here=here(wait=1.0),
        neighbours=tuple(near(name, answers.get(name, 0.0)) for name in "bcd"),
        probed=asked.nodes,
    )
    found = policy(medium(), situation, random.Random(1))
    assert isinstance(found, Decision)
    assert found.node == asked.nodes[1]


def test_a_policy_of_ones_own_is_imported() -> None:
    situation = around(here(), near("b"))
    policy = load_policy("tests.fog_node.placement.policies.own_policy:always_away")
    found = policy(medium(), situation, random.Random(1))
    assert found == Decision(near("b"), "as far as possible", situation)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("best", "is unknown; there is deadline"),
        ("no_such_module:f", "cannot be imported"),
        ("math:no_such", "has no 'no_such'"),
        ("math:pi", "cannot be called"),
    ],
)
def test_a_policy_that_is_not_there_is_told_in_one_sentence(name: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_policy(name)
