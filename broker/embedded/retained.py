"""The retained messages: the last one of each topic, found by filter through a tree of levels."""

from collections.abc import Iterator

from broker.embedded.packets import Publish


class _Level:
    __slots__ = ("below", "message")

    def __init__(self) -> None:
        self.below: dict[str, _Level] = {}
        self.message: Publish | None = None


class RetainedStore:
    """At most `limit` retained messages; one more is not kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._root = _Level()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, message: Publish) -> bool:
        """Keep a message in place of the topic's last one; an empty payload only removes that.

        Returns False where there is no room for another topic.
        """
        if not message.payload:
            self._remove(message.topic)
            return True
        level = self._find(message.topic)
        if level is None or level.message is None:
            if self._count >= self._limit:
                return False
            level = self._make(message.topic)
            self._count += 1
        level.message = message
        return True

    def match(self, filter: str) -> Iterator[Publish]:
        """The retained messages whose topics match a filter."""
        parts = filter.split("/")
        stack = [(self._root, 0)]
        while stack:
            level, depth = stack.pop()
            if depth == len(parts):
                if level.message is not None:
                    yield level.message
            elif parts[depth] == "#":
                yield from _all(level, hidden=depth == 0)
            elif parts[depth] == "+":
                stack += [
                    (b, depth + 1) for name, b in level.below.items() if depth or not name.startswith("$")
                ]
            elif parts[depth] in level.below:
                stack.append((level.below[parts[depth]], depth + 1))

    def _find(self, topic: str) -> _Level | None:
        level: _Level | None = self._root
        for part in topic.split("/"):
            level = level.below.get(part) if level is not None else None
        return level

    def _make(self, topic: str) -> _Level:
        level = self._root
        for part in topic.split("/"):
            level = level.below.setdefault(part, _Level())
        return level

    def _remove(self, topic: str) -> None:
        path = [self._root]
        parts = topic.split("/")
        for part in parts:
            below = path[-1].below.get(part)
            if below is None:
                return
            path.append(below)
        if path[-1].message is None:
            return
        path[-1].message = None
        self._count -= 1
        for part, above, level in zip(reversed(parts), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if level.message is not None or level.below:
                break
            del above.below[part]


def _all(level: _Level, *, hidden: bool) -> Iterator[Publish]:
    """All messages at a level and below; those of topics that begin with $ left out if they are `hidden`."""
    stack = [level]
    while stack:
        one = stack.pop()
        if one.message is not None:
            yield one.message
        skip = hidden and one is level
        stack += [below for name, below in one.below.items() if not (skip and name.startswith("$"))]
