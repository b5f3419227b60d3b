"""Runs a user's own policy. Where it fails the default policy decides, so that no task is lost."""

import random
from collections.abc import Callable

from fog_node.placement.policies.situation import Decision, Policy, Probe, Situation, Work, obstacle

MOST_FAULTS = 20
"""Different faults that are reported at most: a message may hold numbers of the task, so each may be new."""


class Guarded:
    """A policy that may raise or answer nonsense; `instead` then decides.

    `complain` is told of each fault once, so that a policy which always fails does not fill the log.
    """

    def __init__(self, policy: Policy, instead: Policy, complain: Callable[[str], None]) -> None:
        self._policy = policy
        self._instead = instead
        self._complain = complain
        self._told: set[str] = set()

    def __call__(self, work: Work, situation: Situation, chance: random.Random, /) -> Decision | Probe:
        """What the policy says if it can be carried out, else what the other one says."""
        try:
            found = _checked(self._policy(work, situation, chance), work, situation)
        except (Exception, SystemExit) as fault:  # noqa: BLE001
            # Somebody else's code: whatever it raises, the task needs a place.
            found = f"it raised {type(fault).__name__}: {fault}"
        if not isinstance(found, str):
            return found
        if found not in self._told and len(self._told) < MOST_FAULTS:
            self._told.add(found)
            self._complain(found)
        decision = self._instead(work, situation, chance)
        if isinstance(decision, Probe):
            return decision
        return Decision(decision.chosen, f"{decision.why} (the node's own policy failed)", situation)


def _checked(found: object, work: Work, situation: Situation) -> Decision | Probe | str:
    """A policy's answer with the candidate it means, or in a few words why it is none."""
    match found:
        case Probe(nodes=nodes):
            return _checked_probe(found, nodes, situation)
        case Decision(chosen=chosen, why=str(why)):
            meant = next((one for one in situation if one == chosen), None)
            if meant is None:
                # That there is no place is an answer where there is none.
                possible = any(obstacle(work, one) is None for one in situation)
                if chosen is None and not possible:
                    return Decision(None, why, situation)
                return "it chose none of the candidates"
            reason = obstacle(work, meant)
            return (
                Decision(meant, why, situation)
                if reason is None
                else f"it chose {meant.node}, which {reason}"
            )
        case Decision():
            return "its decision does not say why in words"
        case _:
            return f"it returned {type(found).__name__}, not a Decision or a Probe"


def _checked_probe(found: Probe, nodes: object, situation: Situation) -> Probe | str:
    if situation.probed:
        return "it asks again and again"
    known = {one.node for one in situation.neighbours}
    if not isinstance(nodes, tuple) or not nodes or not known.issuperset(nodes):
        return "it asks nodes that are no neighbours"
    return found
