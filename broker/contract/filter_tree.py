"""Values by topic filter, as a tree of levels: a look-up costs as the topic is deep."""

from collections.abc import Iterator
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Level(Generic[Value]):
    """One level: what is `below` it by the next level's text, and what the filters that end `here` hold."""

    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, Level[Value]] = {}
        self.here: list[Value] = []


class FilterTree(Generic[Value]):
    """Filters with what each stands for, in the order in which they were added."""

    def __init__(self) -> None:
        self.root: Level[Value] = Level()

    def add(self, filter: str, value: Value) -> None:
        """Add one more value under a filter."""
        level = self.root
        for part in filter.split("/"):
            below = level.below.get(part)
            if below is None:
                below = level.below[part] = Level()
            level = below
        level.here.append(value)

    def matches(self, topic: str) -> bool:
        """Tell whether a topic matches one of the filters."""
        return next(self.find(topic), None) is not None

    def find(self, topic: str) -> Iterator[Level[Value]]:
        """The levels at which the filters end that a topic matches."""
        # The first level of a topic that begins with $ is matched by name only (MQTT 4.7.2).
        wild = not topic.startswith("$")
        levels = [self.root]
        for part in topic.split("/"):
            following = []
            for level in levels:
                below = level.below
                if wild and "#" in below:
                    yield below["#"]
                following += [below[one] for one in ((part, "+") if wild else (part,)) if one in below]
            if not following:
                return
            levels, wild = following, True
        for level in levels:
            if level.here:
                yield level
            # A filter's last level # stands for its parent level too.
            if "#" in level.below:
                yield level.below["#"]
