"""What a placement is decided on, and what a decision is: frozen data, no I/O, no clock."""

import enum
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

import msgspec

from broker.contract.topics import Weight


class Place(enum.StrEnum):
    """Where a task can run, seen from the node that has it."""

    HERE = "here"
    NEIGHBOUR = "neighbour"
    CLOUD = "cloud"
    NOWHERE = "nowhere"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A task that wants a place. `budget` is what is left of its deadline in seconds, None without one.

    `visited` are the nodes it has been at, this one left out; it may be handed to `hops_left` more
    neighbours. The cloud does not count as one. `for_cloud` marks what its sender wants run there.
    """

    weight: Weight
    task: str = ""
    size: int = 0
    budget: float | None = None
    hops_left: int = 1
    visited: tuple[str, ...] = ()
    for_cloud: bool = False


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A node that could run a task, with what it would take there, in seconds.

    `wait` until a slot is free for it, `run` to execute it, give or take `spread`, `transfer` for the way
    there and back. `age` says how old the figures are, and `backlog` is the original's measure of
    load: all waiting tasks of all weights, one after the other.
    """

    node: str
    place: Place
    slots: int = 1
    wait: float = 0.0
    run: float = 0.0
    spread: float = 0.0
    transfer: float = 0.0
    age: float = 0.0
    backlog: float = 0.0
    alive: bool = True

    @property
    def done(self) -> float:
        """Seconds until the outcome would be here."""
        return self.transfer + self.wait + self.run

    @property
    def cautious(self) -> float:
        """The same, with the spread of the execution time added."""
        return self.done + self.spread


class Unseen(Sequence[Candidate]):
    """Candidates that are made when somebody first looks at them.

    Most tasks stay here, and need not pay for fifty neighbours. Look before time passes: what `look` reads
    is the present.
    """

    __slots__ = ("_look", "_seen")

    def __init__(self, look: Callable[[], tuple[Candidate, ...]]) -> None:
        self._look = look
        self._seen: tuple[Candidate, ...] | None = None

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Candidate, ...]: ...
    def __getitem__(self, index: int | slice) -> Candidate | tuple[Candidate, ...]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._all())

    def _all(self) -> tuple[Candidate, ...]:
        if self._seen is None:
            self._seen = self._look()
        return self._seen


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All the candidates at one moment; `probed` names those that were asked just now."""

    here: Candidate
    neighbours: Sequence[Candidate] = ()
    cloud: Candidate | None = None
    probed: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Candidate]:
        yield self.here
        yield from self.neighbours
        if self.cloud is not None:
            yield self.cloud


class Decision(msgspec.Struct, frozen=True):
    """Where a task goes, why in a few words, and what it was decided on."""

    chosen: Candidate | None
    why: str
    situation: Situation

    @property
    def place(self) -> Place:
        """The kind of place that was chosen."""
        return Place.NOWHERE if self.chosen is None else self.chosen.place

    @property
    def node(self) -> str:
        """The name of the node that was chosen, empty for nowhere."""
        return "" if self.chosen is None else self.chosen.node


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask these neighbours what a task would wait for now, then decide again with their answers."""

    nodes: tuple[str, ...]


class Policy(Protocol):
    """Chooses a place. It is called again after a Probe, with `situation.probed` filled in."""

    def __call__(self, work: Work, situation: Situation, chance: random.Random, /) -> Decision | Probe: ...


def obstacle(work: Work, candidate: Candidate) -> str | None:
    """Say in a few words why a task cannot be placed there at all, or None if it can."""
    if not candidate.slots:
        return f"has no workers for {work.weight} tasks"
    if candidate.place is Place.HERE:
        return None
    if not candidate.alive:
        return "is away"
    if candidate.place is Place.NEIGHBOUR:
        if candidate.node in work.visited:
            return "was visited"
        if work.hops_left < 1:
            return "is one hop too far"
    return None


def usable(work: Work, situation: Situation) -> list[Candidate]:
    """The candidates that can take a task, from the nearest: this node, its neighbours, the cloud."""
    return [one for one in situation if obstacle(work, one) is None]


def open_neighbours(work: Work, situation: Situation) -> list[Candidate]:
    """The neighbours that can take a task."""
    return [one for one in situation.neighbours if obstacle(work, one) is None]
