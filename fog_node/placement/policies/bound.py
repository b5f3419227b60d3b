"""A policy for tasks that run in one place alone: at the workers of a Celery application."""

import random
from collections.abc import Callable

import msgspec

from fog_node.placement.policies.situation import Decision, Policy, Probe, Situation, Work

WHY = "the application's own workers run it"


def bound(policy: Policy, is_bound: Callable[[str], bool]) -> Policy:
    """Like `policy`, but for the tasks that are bound to this node."""

    def choose(work: Work, situation: Situation, chance: random.Random, /) -> Decision | Probe:
        if not is_bound(work.task):
            return policy(work, situation, chance)
        # What waits for the node's own workers says nothing of the application's.
        here = msgspec.structs.replace(situation.here, slots=1, wait=0.0)
        return Decision(here, WHY, situation)

    return choose
