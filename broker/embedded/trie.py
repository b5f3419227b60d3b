"""Who subscribed to what: a tree of topic levels, so that a look-up costs as the topic is deep."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Subscriber = TypeVar("Subscriber", bound=Hashable)


class _Level(Generic[Subscriber]):
    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Level[Subscriber]] = {}
        self.here: dict[Subscriber, int] = {}


class SubscriptionTrie(Generic[Subscriber]):
    """Filters with their subscribers and the QoS that each asked for."""

    def __init__(self) -> None:
        self._root: _Level[Subscriber] = _Level()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, filter: str, subscriber: Subscriber, qos: int) -> bool:
        """Subscribe, or replace the QoS of an earlier subscription; True if it is a new one."""
        level = self._root
        for part in filter.split("/"):
            level = level.below.setdefault(part, _Level())
        new = subscriber not in level.here
        level.here[subscriber] = qos
        self._count += new
        return new

    def remove(self, filter: str, subscriber: Subscriber) -> None:
        """Unsubscribe; nothing happens where there is no such subscription."""
        path = [self._root]
        parts = filter.split("/")
        for part in parts:
            below = path[-1].below.get(part)
            if below is None:
                return
            path.append(below)
        if path[-1].here.pop(subscriber, None) is None:
            return
        self._count -= 1
        for part, above, level in zip(reversed(parts), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if level.here or level.below:
                break
            del above.below[part]

    def match(self, topic: str) -> dict[Subscriber, int]:
        """The subscribers of a topic, once each, with the highest QoS of their subscriptions."""
        found: dict[Subscriber, int] = {}
        for level in self._levels(topic.split("/")):
            for subscriber, qos in level.here.items():
                if qos > found.get(subscriber, -1):
                    found[subscriber] = qos
        return found

    def _levels(self, parts: list[str]) -> Iterator[_Level[Subscriber]]:
        stack = [(self._root, 0)]
        while stack:
            level, depth = stack.pop()
            # The first level of a topic that begins with $ is matched by name only (MQTT 4.7.2).
            wild = depth > 0 or not parts[0].startswith("$")
            if wild and (rest := level.below.get("#")) is not None:
                yield rest
            if depth == len(parts):
                yield level
                continue
            if wild and (any_level := level.below.get("+")) is not None:
                stack.append((any_level, depth + 1))
            if (named := level.below.get(parts[depth])) is not None:
                stack.append((named, depth + 1))
