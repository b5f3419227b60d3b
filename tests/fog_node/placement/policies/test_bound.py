"""Tasks that only this node can reach the workers of."""

import random

from broker.contract.topics import Weight
from fog_node.placement import Decision, Place, load_policy
from fog_node.placement.policies.bound import bound
from fog_node.placement.policies.situation import Work
from tests.fog_node.placement.policies.situations import around, here, up


def test_a_bound_task_stays_here_whatever_the_policy_says_and_however_busy_its_own_workers_are() -> None:
    policy = bound(load_policy("cloud"), lambda task: task == "shop.price")
    situation = around(here(slots=0), cloud=up())
    places = {}
    for task in ("shop.price", "echo"):
        decision = policy(Work(weight=Weight.HEAVY, task=task), situation, random.Random(1))
        assert isinstance(decision, Decision)
        places[task] = decision.place
    assert places == {"shop.price": Place.HERE, "echo": Place.CLOUD}
