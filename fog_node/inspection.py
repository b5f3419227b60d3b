"""What a node tells its own user about itself: the nodes next to it, and where it would place a task."""

import math
import time

from broker.topics import CLOUD, WEIGHTS, Weight
from fog_node.board import Board
from fog_node.control import Answer, AskPeers, AskPlace, PeerLine, Peers, PlaceAnswer, Question, Wait
from fog_node.handoff import Peer
from fog_node.neighbourhood import Neighbour, Neighbourhood
from fog_node.placement import Work, explain
from fog_node.placer import DEFAULT_HOPS, Placer


class Inspection:
    """Answers questions; changes nothing."""

    def __init__(
        self, placer: Placer, *, board: Board, neighbourhood: Neighbourhood, cloud: Peer | None
    ) -> None:
        self._placer = placer
        self._board = board
        self._neighbourhood = neighbourhood
        self._cloud = cloud

    def answer(self, question: Question) -> Answer:
        """Answer one question."""
        match question:
            case AskPeers():
                return self._peers(time.monotonic())
            case AskPlace():
                return self._place(question)

    def _place(self, question: AskPlace) -> PlaceAnswer:
        work = Work(
            weight=question.weight,
            task=question.task,
            size=question.size,
            budget=question.budget,
            hops_left=DEFAULT_HOPS,
        )
        decision = self._placer.decide_on(work)
        return PlaceAnswer(decision.why, explain(work, decision))

    def _peers(self, now: float) -> Peers:
        lines = [self._neighbour(one, now) for one in self._neighbourhood.neighbours()]
        if self._cloud is not None:
            state = "there" if self._cloud.reachable else "away"
            lines.append(_line(self._cloud.place, CLOUD, state, self._cloud.connected, self._cloud.open))
        return Peers(lines)

    def _neighbour(self, one: Neighbour, now: float) -> PeerLine:
        link = one.link
        if one.peer is None:
            return _line(link.place, "", "never heard", link.connected, 0)
        name = one.peer.address
        views = {weight: view for weight in WEIGHTS if (view := self._board.view(name, weight, now))}
        if not views:
            return _line(link.place, name, "gone", link.connected, one.peer.open)
        first = next(iter(views.values()))
        heard = self._board.heard(name)
        return PeerLine(
            place=link.place,
            name=name,
            state="there" if first.alive else "doubted",
            link=link.connected,
            age_s=None if heard is None else round(now - heard, 2),
            round_trip_ms=None if first.round_trip is None else round(1e3 * first.round_trip, 2),
            handed_over=one.peer.open,
            waits={weight: _wait(view.slots, view.wait) for weight, view in views.items() if view.slots},
        )


def _line(place: str, name: str, state: str, link: bool, handed_over: int) -> PeerLine:
    return PeerLine(
        place=place,
        name=name,
        state=state,
        link=link,
        age_s=None,
        round_trip_ms=None,
        handed_over=handed_over,
        waits=dict[Weight, Wait](),
    )


def _wait(slots: int, wait: float) -> Wait:
    return Wait(slots, round(1e3 * wait, 2) if math.isfinite(wait) else 0.0)
