"""Values by topic filter, as a tree of levels: a look-up costs as the topic is deep, not by their number."""

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
        # `find` without its values, at half its price: this is asked of every message there is.
        wild = not topic.startswith("$")
        levels = [self.root]
        for part in topic.split("/"):
            following = []
            for level in levels:
                below = level.below
                if (named := below.get(part)) is not None:
                    following.append(named)
                if wild:
                    if "#" in below:
                        return True
                    if (any_level := below.get("+")) is not None:
                        following.append(any_level)
            if not following:
                return False
            levels, wild = following, True
        return any(level.here or "#" in level.below for level in levels)

    def find(self, topic: str) -> Iterator[Level[Value]]:  # noqa: C901  # parted, it would cost twice
        """The levels at which the filters end that a topic matches."""
        # The first level of a topic that begins with $ is matched by name only (MQTT 4.7.2).
        wild = not topic.startswith("$")
        levels = [self.root]
        for part in topic.split("/"):
            following = []
            for level in levels:
                below = level.below
                if (named := below.get(part)) is not None:
                    following.append(named)
                if wild:
                    if (any_level := below.get("+")) is not None:
                        following.append(any_level)
                    if (rest := below.get("#")) is not None:
                        yield rest
            if not following:
                return
            levels, wild = following, True
        for level in levels:
            if level.here:
                yield level
            # A filter's last level # stands for its parent level too.
            if (rest := level.below.get("#")) is not None:
                yield rest

    def overlapping(self, filter: str) -> Iterator[Level[Value]]:
        """The levels at which the filters end that have a topic in common with this one."""
        parts = filter.split("/")
        levels = [(self.root, 0)]
        while levels:
            level, depth = levels.pop()
            part = parts[depth] if depth < len(parts) else None
            if level.here and part in (None, "#"):
                yield level
            for name, below in level.below.items():
                # What begins with $ has no topic in common with a wildcard.
                if level is self.root and "$" in (name[:1], filter[:1]) and name != part:
                    continue
                if name == "#":
                    yield below
                elif part == "#":
                    levels.append((below, depth))
                elif part in (name, "+") or (name == "+" and part is not None):
                    levels.append((below, depth + 1))
