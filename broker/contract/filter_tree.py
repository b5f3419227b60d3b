"""Values by topic filter, as a tree of levels: a look-up costs as the topic is deep, not by their number."""

from collections.abc import Iterator
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Level(Generic[Value]):
    """One level: what is `below` it by the next level's text, and what the filters that end `here` hold."""

    __slots__ = ("any", "below", "here", "rest")

    def __init__(self) -> None:
        self.below: dict[str, Level[Value]] = {}
        self.here: list[Value] = []
        # What is below under + and under #: a look-up goes there from each level.
        self.any: Level[Value] | None = None
        self.rest: Level[Value] | None = None

    def make(self, part: str) -> "Level[Value]":
        """The level below under this text, made where it is missing."""
        below = self.below.get(part)
        if below is None:
            below = self.below[part] = Level()
            if part == "+":
                self.any = below
            elif part == "#":
                self.rest = below
        return below

    def drop(self, part: str) -> None:
        """Forget the level below under this text."""
        dropped = self.below.pop(part)
        if dropped is self.any:
            self.any = None
        elif dropped is self.rest:
            self.rest = None


class FilterTree(Generic[Value]):
    """Filters with what each stands for, in the order in which they were added."""

    def __init__(self) -> None:
        self.root: Level[Value] = Level()

    def add(self, filter: str, value: Value) -> None:
        """Add one more value under a filter."""
        self.at(filter).here.append(value)

    def at(self, filter: str) -> Level[Value]:
        """The level at which a filter ends, made where it is missing."""
        level = self.root
        for part in filter.split("/"):
            level = level.make(part)
        return level

    def held(self, filter: str) -> list[Value]:
        """What was added under this very filter."""
        path = self._path(filter)
        return [] if path is None else path[-1].here

    def remove(self, filter: str) -> None:
        """Remove all that was added under a filter."""
        path = self._path(filter)
        if path is None:
            return
        path[-1].here.clear()
        for part, above, level in zip(
            reversed(filter.split("/")), reversed(path[:-1]), reversed(path[1:]), strict=True
        ):
            if level.here or level.below:
                return
            above.drop(part)

    def _path(self, filter: str) -> list[Level[Value]] | None:
        path = [self.root]
        for part in filter.split("/"):
            below = path[-1].below.get(part)
            if below is None:
                return None
            path.append(below)
        return path

    def matches(self, topic: str) -> bool:
        """Tell whether a topic matches one of the filters."""
        # `find` without its values, at half its price: it is asked of every message there is.
        parts = topic.split("/")
        if topic.startswith("$"):
            below = self.root.below.get(parts[0])
            return below is not None and _reaches(below, parts, 1)
        return _reaches(self.root, parts, 0)

    def find(self, topic: str) -> list[Level[Value]]:  # noqa: C901  # parted, it would cost twice
        """The levels at which the filters end that a topic matches."""
        found: list[Level[Value]] = []
        # The first level of a topic that begins with $ is matched by name only (MQTT 4.7.2).
        wild = not topic.startswith("$")
        levels = [self.root]
        for part in topic.split("/"):
            following = []
            for level in levels:
                if (named := level.below.get(part)) is not None:
                    following.append(named)
                if wild:
                    if level.any is not None:
                        following.append(level.any)
                    if level.rest is not None:
                        found.append(level.rest)
            if not following:
                return found
            levels, wild = following, True
        for level in levels:
            if level.here:
                found.append(level)
            # A filter's last level # stands for its parent level too.
            if level.rest is not None:
                found.append(level.rest)
        return found

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


def _reaches(level: Level[Value], parts: list[str], at: int) -> bool:
    """Whether a filter ends where these parts lead from a level on."""
    for position in range(at, len(parts)):
        if level.rest is not None:
            return True
        named, other = level.below.get(parts[position]), level.any
        if named is not None and other is not None and _reaches(named, parts, position + 1):
            return True
        following = other or named
        if following is None:
            return False
        level = following
    return bool(level.here) or level.rest is not None
