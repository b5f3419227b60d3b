"""What a node tells its own user: the nodes next to it, its rules, and where it would place a task."""

import math
import time
from collections.abc import Container, Mapping

from broker.contract.topics import CLOUD, WEIGHTS, Weight
from fog_node.inspection.control import (
    Answer,
    AskPeers,
    AskPlace,
    AskRules,
    PeerLine,
    Peers,
    PlaceAnswer,
    RuleLine,
    Rules,
    Wait,
)
from fog_node.mesh.neighbourhood import Neighbour, Neighbourhood
from fog_node.mesh.peer import Peer
from fog_node.placement.board import Board, View
from fog_node.placement.placer import DEFAULT_HOPS, Placer
from fog_node.placement.policies.explanation import explain
from fog_node.placement.policies.situation import Work
from fog_node.placement.surroundings import Surroundings
from fog_node.rules.counts import RuleCount
from fog_node.rules.rulebook import Rulebook


class Inspection:
    """Answers questions; changes nothing."""

    def __init__(
        self,
        placer: Placer,
        tasks: Container[str],
        *,
        known: Surroundings,
        neighbourhood: Neighbourhood,
        cloud: Peer | None,
        rules: Rulebook,
    ) -> None:
        self._placer = placer
        self._tasks = tasks
        self._known = known
        self._neighbourhood = neighbourhood
        self._cloud = cloud
        self._rules = rules

    def answer(self, question: AskPeers | AskPlace | AskRules) -> Answer:
        """Answer one question."""
        match question:
            case AskPeers():
                return self._peers(time.monotonic())
            case AskPlace():
                return self._place(question)
            case AskRules():
                return Rules([_rule(one) for one in self._rules.counts()])

    def _place(self, question: AskPlace) -> PlaceAnswer:
        if question.task not in self._tasks:
            return PlaceAnswer(f"this node has no task {question.task!r}", [])
        work = Work(
            weight=question.weight,
            task=question.task,
            size=question.size,
            budget=question.budget,
            hops_left=DEFAULT_HOPS,
        )
        decision = self._placer.decide_on(work, time.monotonic())
        return PlaceAnswer(decision.why, explain(work, decision))

    def _peers(self, now: float) -> Peers:
        lines = [self._neighbour(one, now) for one in self._neighbourhood.neighbours()]
        if self._cloud is not None:
            lines.append(self._the_cloud(self._cloud, now))
        return Peers(lines)

    def _neighbour(self, one: Neighbour, now: float) -> PeerLine:
        link, peer = one.link, one.peer
        if peer is None:
            return PeerLine(
                place=link.place, name="", state="never heard", link=link.connected, handed_over=0
            )
        return _line(self._known.board, peer, peer.address, peer.open, now)

    def _the_cloud(self, cloud: Peer, now: float) -> PeerLine:
        board = self._known.cloud
        gateways = [_line(board, cloud, name, cloud.held_by(name), now) for name in sorted(board.nodes)]
        together = {weight: self._known.cloud_view(weight, now, linked=cloud.reachable) for weight in WEIGHTS}
        views = {weight: view for weight, view in together.items() if view is not None}
        if not cloud.reachable:
            state = "away"
        elif not board.ever_heard:
            state = "never heard"
        elif not gateways:
            state = "gone"
        else:
            state = "there" if views else "doubted"
        return PeerLine(
            place=cloud.place,
            name=CLOUD,
            state=state,
            link=cloud.connected,
            age_s=min((one.age_s for one in gateways if one.age_s is not None), default=None),
            round_trip_ms=_round_trip(views),
            handed_over=cloud.open,
            waits=_waits(views),
            gateways=gateways,
        )


def _rule(count: RuleCount) -> RuleLine:
    return RuleLine(
        rule=count.name,
        source=count.source,
        on=count.on,
        task=count.task,
        matched=count.matched,
        started=count.fired,
        passed_over=dict(count.passed_over),
        refused=dict(count.refused),
    )


def _line(board: Board, peer: Peer, name: str, handed_over: int, now: float) -> PeerLine:
    """What a board knows of a node at the other end of the link of `peer`."""
    views = {weight: view for weight in WEIGHTS if (view := board.view(name, weight, now)) is not None}
    heard = board.heard(name)
    alive = any(view.alive for view in views.values())
    return PeerLine(
        place=peer.place,
        name=name,
        state="gone" if not views else "there" if alive else "doubted",
        link=peer.connected,
        age_s=None if heard is None else round(now - heard, 2),
        round_trip_ms=_round_trip(views),
        handed_over=handed_over,
        waits=_waits(views),
    )


def _round_trip(views: Mapping[Weight, View]) -> float | None:
    """Milliseconds there and back; they are the same for each weight."""
    found = next((view.round_trip for view in views.values()), None)
    return None if found is None else round(1e3 * found, 2)


def _waits(views: Mapping[Weight, View]) -> dict[Weight, Wait]:
    return {weight: _wait(view.slots, view.wait) for weight, view in views.items() if view.slots}


def _wait(slots: int, wait: float) -> Wait:
    return Wait(slots, round(1e3 * wait, 2) if math.isfinite(wait) else 0.0)
