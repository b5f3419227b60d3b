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

    `wait` until a slot is free for it, 0 if one seems free; `run` to execute it, give or take `spread`;
    `transfer` for the way there and back. `slots` counts all of its slots for this weight, the busy ones too.
    `age` says how old the figures are. `backlog`, of other nodes, is for the policy `original` alone: all
    waiting tasks of all weights, one after the other.
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
    """Candidates that are made one by one, when somebody looks at them.

    Most tasks stay here, and for most others two neighbours are looked at: neither should pay for fifty.
    `look` returns the names and the function that makes a candidate of one. It reads the present, so a policy
    has to look before time passes.
    """

    __slots__ = ("_look", "_make", "_names", "_seen")

    def __init__(self, look: Callable[[], tuple[Sequence[str], Callable[[str], Candidate]]]) -> None:
        self._look = look
        self._make: Callable[[str], Candidate] | None = None
        self._names: Sequence[str] = ()
        self._seen: dict[str, Candidate] = {}

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Candidate, ...]: ...
    def __getitem__(self, index: int | slice) -> Candidate | tuple[Candidate, ...]:
        names = self._known()[index]
        return self._one(names) if isinstance(names, str) else tuple(map(self._one, names))

    def __len__(self) -> int:
        return len(self._known())

    def __iter__(self) -> Iterator[Candidate]:
        return map(self._one, self._known())

    def named(self, names: Sequence[str]) -> list[Candidate]:
        """Those of these names."""
        return [self._one(name) for name in self._known() if name in names]

    def _known(self) -> Sequence[str]:
        if self._make is None:
            self._names, self._make = self._look()
        return self._names

    def _one(self, name: str) -> Candidate:
        found = self._seen.get(name)
        if found is None:
            assert self._make is not None
            found = self._seen[name] = self._make(name)
        return found


def nothing() -> float:
    """The backlog of a node where no task waits."""
    return 0.0


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All the candidates at one moment; `probed` names those that were asked just now.

    `backlog` finds this node's own, which no policy but the original asks for.
    """

    here: Candidate
    neighbours: Sequence[Candidate] = ()
    cloud: Candidate | None = None
    probed: tuple[str, ...] = ()
    backlog: Callable[[], float] = nothing

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


def asked_neighbours(work: Work, situation: Situation) -> list[Candidate]:
    """The neighbours that were asked just now and can take a task."""
    neighbours, names = situation.neighbours, situation.probed
    if isinstance(neighbours, Unseen):
        asked = neighbours.named(names)
    else:
        asked = [one for one in neighbours if one.node in names]
    return [one for one in asked if obstacle(work, one) is None]


def drawn_neighbours(work: Work, situation: Situation, chance: random.Random) -> Iterator[Candidate]:
    """The neighbours that can take a task, in random order: take as many as you want to look at."""
    neighbours = situation.neighbours
    drawn = (neighbours[place] for place in in_random_order(len(neighbours), chance))
    return (one for one in drawn if obstacle(work, one) is None)


def in_random_order(count: int, chance: random.Random) -> Iterator[int]:
    """The numbers below `count`, each order as likely. Only those that are taken cost anything."""
    # A shuffle by Fisher and Yates that notes only which places have changed.
    moved: dict[int, int] = {}
    for last in range(count - 1, -1, -1):
        place = int(chance.random() * (last + 1))
        yield moved.get(place, place)
        moved[place] = moved.get(last, last)
