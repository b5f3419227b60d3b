"""Other nodes that go by this one's name, told from it by the number of their lives. No I/O, no clock."""

import math
from dataclasses import dataclass

import structlog

from broker.contract.messages import NodeState

log = structlog.get_logger()

SILENCE = 3.5
"""Seconds without a state after which a namesake counts as gone: a node tells its state every second."""


MOST_PLACES = 16
"""Places that are kept in mind: on a local network anybody may make up more, and each is told each second."""


@dataclass(slots=True)
class _Namesake:
    birth: int
    heard: float


class Namesakes:
    """What the node called `node` hears of others of its name; `birth` is the number of its own life.

    They are known by where they were met. `waits_at` is the place where this node leaves the work to one.
    """

    def __init__(self, node: str, birth: int) -> None:
        self.node = node
        self.birth = birth
        self.waits_at: str | None = None
        self._there: dict[str, _Namesake] = {}

    def hear(self, state: NodeState, place: str, now: float) -> None:
        """Take in a state that was published under this node's name at `place`: it may be this node's own."""
        if state.online:
            self.hear_life(state.birth, place, now)
        elif place in self._there and self._there[place].birth == state.birth:
            self.gone(place)

    def hear_life(self, birth: int, place: str, now: float) -> None:
        """Note that the life with this number is at `place`: it may be this node's own."""
        known = self._there.get(place)
        if birth == self.birth or (known and birth < known.birth and now - known.heard <= SILENCE):
            # Of several, the one that was started last: it is the one that works.
            return
        self._note(place, _Namesake(birth, now))

    def met(self, place: str) -> None:
        """Note that one is at `place` until it is `gone`, whatever is heard of it."""
        self._note(place, _Namesake(0, math.inf))

    def gone(self, place: str) -> None:
        """Note that there is none at `place` any more. A second call does nothing."""
        if self._there.pop(place, None) is not None:
            log.info("node_name_free", node=self.node, at=place)

    def there(self, place: str, now: float) -> bool:
        """Whether another of this name is at `place`."""
        self._forget_silent(now)
        return place in self._there

    def newer(self, place: str, now: float) -> bool:
        """Whether one that was started later than this node is at `place`."""
        self._forget_silent(now)
        known = self._there.get(place)
        return known is not None and known.birth > self.birth

    def trouble(self, now: float) -> list[str]:
        """What is wrong, in words: a sentence for each place where there is another node of this name."""
        self._forget_silent(now)
        return [self._sentence(place) for place in self._there]

    def _note(self, place: str, namesake: _Namesake) -> None:
        if place not in self._there:
            if len(self._there) >= MOST_PLACES:
                return
            log.warning(
                "node_name_taken", node=self.node, at=place, next_step="give one of the two another --name"
            )
        self._there[place] = namesake

    def _forget_silent(self, now: float) -> None:
        for place in [place for place, one in self._there.items() if now - one.heard > SILENCE]:
            self.gone(place)

    def _sentence(self, place: str) -> str:
        waits = "; it has the work there, and this one waits until it is gone" * (place == self.waits_at)
        return f"another node named {self.node!r} is at {place}{waits}: give one of them another --name"
