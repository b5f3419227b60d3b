"""Makes the situation on which a policy decides: this node, the board, the estimates. No I/O, no clock."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from broker.contract.topics import CLOUD, Weight
from fog_node.placement.board import Board, View
from fog_node.placement.estimates import HERE, Estimates
from fog_node.placement.policies.situation import Candidate, Place, Situation, Unseen, Work, nothing

UNMEASURED = {Place.NEIGHBOUR: 0.01, Place.CLOUD: 0.1}
"""Seconds to another node and back that are assumed until they are measured."""


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """The queue of one weight at this node; `backlog` finds the original's measure over all weights."""

    slots: int
    wait: float
    backlog: Callable[[], float] = nothing


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """One node's picture of itself and the others.

    `board` keeps the neighbours' states, `cloud` those of the cloud's gateways; `has_cloud` tells whether
    there is a cloud.
    """

    node: str
    estimates: Estimates
    board: Board
    cloud: Board = field(default_factory=Board)
    has_cloud: bool = False

    def sent(self, chosen: Candidate, weight: Weight, now: float) -> None:
        """Note that a task was sent to another node."""
        if chosen.place is Place.NEIGHBOUR:
            self.board.sent(chosen.node, weight, chosen.run, now)
        elif chosen.place is Place.CLOUD:
            # The cloud's broker chooses the gateway and does not say which: each counts an equal share.
            gateways = self.cloud.nodes
            for name in gateways:
                self.cloud.sent(name, weight, chosen.run / len(gateways), now)

    def situation(
        self,
        work: Work,
        local: Local,
        now: float,
        *,
        timeout: float,
        linked: Callable[[], Collection[str]],
        cloud_linked: bool,
        probed: tuple[str, ...] = (),
    ) -> Situation:
        """All the candidates for a task; `timeout` bounds how long it is thought to run.

        `linked` finds the names of the neighbours that can be reached now, and `cloud_linked` tells whether
        the cloud's broker can be.
        """
        return Situation(
            here=self._here(work, local, timeout),
            neighbours=Unseen(partial(self._neighbours, work, now, timeout, linked)),
            cloud=self._cloud(work, now, timeout, linked=cloud_linked),
            probed=probed,
            backlog=local.backlog,
        )

    def _here(self, work: Work, local: Local, timeout: float) -> Candidate:
        run = self.estimates.of(work.weight, work.task, place=HERE, timeout=timeout)
        return Candidate(
            node=self.node,
            place=Place.HERE,
            slots=local.slots,
            wait=local.wait,
            run=run.run,
            spread=run.spread,
        )

    def _neighbours(
        self, work: Work, now: float, timeout: float, reached: Callable[[], Collection[str]]
    ) -> tuple[Sequence[str], Callable[[str], Candidate]]:
        linked = reached()

        def candidate(name: str) -> Candidate:
            view = self.board.view(name, work.weight, now)
            if view is None:
                return Candidate(node=name, place=Place.NEIGHBOUR, slots=0, alive=False)
            return self._other(work, name, Place.NEIGHBOUR, view, timeout, linked=name in linked)

        return self.board.nodes, candidate

    def _other(
        self, work: Work, name: str, place: Place, view: View, timeout: float, *, linked: bool = True
    ) -> Candidate:
        run = self.estimates.of(work.weight, work.task, place=name, timeout=timeout)
        round_trip = UNMEASURED[place] if view.round_trip is None else view.round_trip
        return Candidate(
            node=name,
            place=place,
            slots=view.slots,
            wait=view.wait,
            run=run.run,
            spread=run.spread,
            transfer=round_trip + work.size / view.rate,
            age=view.age,
            backlog=view.backlog,
            alive=view.alive and linked,
        )

    def _cloud(self, work: Work, now: float, timeout: float, *, linked: bool) -> Candidate | None:
        """The cloud is one candidate, however many gateways take turns behind its broker."""
        if not self.has_cloud:
            return None
        view = self.cloud_view(work.weight, now, linked=linked)
        if view is None:
            # At the start no state has come yet, though its broker answers. Later on no gateway is left.
            view = _unknown(work.weight, alive=linked and not self.cloud.ever_heard)
        return self._other(work, CLOUD, Place.CLOUD, view, timeout)

    def cloud_view(self, weight: Weight, now: float, *, linked: bool) -> View | None:
        """The cloud's gateways taken together; None if none of them is there."""
        found = {name: self.cloud.view(name, weight, now) for name in self.cloud.nodes}
        views = {name: view for name, view in found.items() if view is not None and view.alive}
        return _together(views, alive=linked) if views else None


def _unknown(weight: Weight, *, alive: bool) -> View:
    """A cloud that has not told its state yet. It runs heavy tasks; it may have no workers for others."""
    slots = 1 if weight is Weight.HEAVY else 0
    return View(slots=slots, wait=0.0, age=0.0, backlog=0.0, round_trip=None, alive=alive)


def _together(views: Mapping[str, View], *, alive: bool) -> View:
    """Several gateways as one: their shared subscription gives each the same number of tasks."""
    open_ = [view for view in views.values() if view.slots > 0]
    measured = [view.round_trip for view in views.values() if view.round_trip is not None]
    count = max(1, len(open_))
    return View(
        slots=sum(view.slots for view in open_),
        wait=sum(view.wait for view in open_) / count,
        age=max(view.age for view in views.values()),
        backlog=sum(view.backlog for view in open_) / count,
        round_trip=min(measured) if measured else None,
        alive=alive,
        rate=min(view.rate for view in views.values()),
    )
