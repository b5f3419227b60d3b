"""The retained messages: the last one of each topic, found by filter through a tree of levels."""

import math
from collections.abc import Iterator

from broker.contract.topics import ROOT
from broker.engines.embedded.message import RoutedMessage

LEVEL_BYTES = 400
"""What a level of the tree takes at most in memory, beside its name; a message may need several."""


class _Level:
    __slots__ = ("below", "message")

    def __init__(self) -> None:
        self.below: dict[str, _Level] = {}
        self.message: RoutedMessage | None = None


class RetainedStore:
    """At most `messages` retained messages that take together `bytes` bytes; what goes beyond is not kept.

    What the broker and its node say of themselves is always kept and counts for no limit, so that nobody can
    hide the node's state by filling the store.
    """

    def __init__(self, *, messages: int, bytes: int) -> None:
        self._limit = messages
        self._bytes_limit = bytes
        self._root = _Level()
        self._count = 0
        self._own = 0
        self._expiring: dict[str, RoutedMessage] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return self._count + self._own

    def put(self, message: RoutedMessage) -> bool:
        """Keep a message in place of the topic's last one. Returns False where there is no room for it."""
        level = self._find(message.topic)
        earlier = level.message if level is not None else None
        if not self._reserve(message, earlier):
            return False
        if level is None:
            level = self._make(message.topic)
        level.message = message
        return True

    def remove(self, topic: str) -> bool:
        """Keep nothing for a topic; tell whether there was something."""
        path = [self._root]
        parts = topic.split("/")
        for part in parts:
            below = path[-1].below.get(part)
            if below is None:
                return False
            path.append(below)
        message = path[-1].message
        if message is None:
            return False
        path[-1].message = None
        self._release(message)
        for part, above, level in zip(reversed(parts), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if level.message is not None or level.below:
                break
            del above.below[part]
        return True

    def holds(self, message: RoutedMessage) -> bool:
        """Tell whether this very message is kept still."""
        level = self._find(message.topic)
        return level is not None and level.message is message

    def expired(self, now: float) -> list[str]:
        """The topics of those that nobody is to get any more."""
        return [topic for topic, message in self._expiring.items() if now > message.expires]

    def match(self, filter: str) -> list[RoutedMessage]:
        """The retained messages whose topics match a filter."""
        return list(self._matching(filter.split("/")))

    def _reserve(self, message: RoutedMessage, earlier: RoutedMessage | None) -> bool:
        """Count a message that takes the place of an earlier one; False if there is no room for it."""
        own = is_said_again(message)
        replaced = None if earlier is None or is_said_again(earlier) else earlier
        if not own:
            count = self._count + (replaced is None)
            growth = _cost(message) - (_cost(replaced) if replaced is not None else 0)
            if count > self._limit or self.bytes + growth > self._bytes_limit:
                return False
        if earlier is not None:
            self._release(earlier)
        if own:
            self._own += 1
        else:
            self._count += 1
            self.bytes += _cost(message)
        if message.expires < math.inf:
            self._expiring[message.topic] = message
        return True

    def _release(self, message: RoutedMessage) -> None:
        self._expiring.pop(message.topic, None)
        if is_said_again(message):
            self._own -= 1
        else:
            self._count -= 1
            self.bytes -= _cost(message)

    def _matching(self, parts: list[str]) -> Iterator[RoutedMessage]:
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
            below = level.below.get(part)
            if below is None:
                below = level.below[part] = _Level()
            level = below
        return level


def is_said_again(message: RoutedMessage) -> bool:
    """Whether the broker or its node says it anew in each life: words of their own, in trees of their own.

    What the node publishes for others, such as the value of a rule, is a message like any other.
    """
    return not message.sender and message.topic.startswith(("$", f"{ROOT}/"))


def _cost(message: RoutedMessage) -> int:
    """Bytes of memory that it takes, and the levels that are made for it."""
    text = len(message.payload) + len(message.passed) + len(message.topic)
    return text + LEVEL_BYTES * (message.topic.count("/") + 1)


def _all(level: _Level, *, hidden: bool) -> Iterator[RoutedMessage]:
    """All messages at a level and below; those of topics that begin with $ left out if they are `hidden`."""
    stack = [level]
    while stack:
        one = stack.pop()
        if one.message is not None:
            yield one.message
        skip = hidden and one is level
        stack += [below for name, below in one.below.items() if not (skip and name.startswith("$"))]
