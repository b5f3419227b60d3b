"""Says why a place was chosen: for `fog-node explain`, debug logs and the short form in an outcome."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fog_node.placement.policies.situation import Candidate, Decision, Place, Work, obstacle


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One candidate of an explanation, in milliseconds (None: never), and what spoke for or against it."""

    node: str
    place: Place
    wait_ms: float | None
    run_ms: float
    transfer_ms: float
    done_ms: float | None
    age_ms: float
    chosen: bool
    verdict: str


def explain(work: Work, decision: Decision) -> list[Line]:
    """All the candidates of a decision, from the nearest."""
    return list(_lines(work, decision))


def _lines(work: Work, decision: Decision) -> Iterator[Line]:
    for one in decision.situation:
        chosen = one is decision.chosen
        yield Line(
            node=one.node,
            place=one.place,
            wait_ms=_ms(one.wait) if math.isfinite(one.wait) else None,
            run_ms=_ms(one.run),
            transfer_ms=_ms(one.transfer),
            done_ms=_ms(one.done) if math.isfinite(one.done) else None,
            age_ms=_ms(one.age),
            chosen=chosen,
            verdict=decision.why if chosen else _verdict(work, decision, one),
        )


def _verdict(work: Work, decision: Decision, one: Candidate) -> str:
    reason = obstacle(work, one)
    if reason is not None or decision.chosen is None:
        return reason or "was not chosen"
    if work.budget is not None and one.cautious > work.budget:
        return f"would be done {_ms(one.cautious - work.budget):g} ms after the deadline"
    later = one.done - decision.chosen.done
    if later > 0:
        return f"would be done {_ms(later):g} ms later"
    if one.place is Place.HERE and later < 0:
        return f"would be done {_ms(-later):g} ms sooner, but the policy prefers {decision.chosen.node}"
    if decision.situation.probed and one.node not in decision.situation.probed and one.age > 0:
        return "was not asked"
    return "is farther away, or was not drawn"


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 1)
