"""Who subscribed to what: a tree of topic levels, so that a look-up costs as the topic is deep."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from broker.engines.embedded.sessions.grant import Grant

Subscriber = TypeVar("Subscriber", bound=Hashable)


class _Level(Generic[Subscriber]):
    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Level[Subscriber]] = {}
        self.here: dict[Subscriber, Grant] = {}


class SubscriptionTrie(Generic[Subscriber]):
    """Filters with their subscribers and what each was granted."""

    def __init__(self) -> None:
        self._root: _Level[Subscriber] = _Level()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, filter: str, subscriber: Subscriber, grant: Grant) -> None:
        """Subscribe, or replace the grant of an earlier subscription."""
        level = self._root
        for part in filter.split("/"):
            below = level.below.get(part)
            if below is None:
                below = level.below[part] = _Level()
            level = below
        self._count += subscriber not in level.here
        level.here[subscriber] = grant

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

    def match(self, topic: str) -> list[tuple[Subscriber, Grant]]:
        """The subscribers of a topic, once each, with what all their subscriptions together grant.

        The list is the caller's own: subscriptions may change while it is gone through.
        """
        hits = self._hits(topic)
        if not hits:
            return []
        if len(hits) == 1:
            return list(hits[0].items())
        found = dict(hits[0])
        several: dict[Subscriber, list[Grant]] = {}
        for here in hits[1:]:
            for subscriber, grant in here.items():
                first = found.setdefault(subscriber, grant)
                if first is not grant:
                    several.setdefault(subscriber, [first]).append(grant)
        # Only now: one after the other would copy all identifiers each time.
        for subscriber, grants in several.items():
            found[subscriber] = Grant.joined(grants)
        return list(found.items())

    def _hits(self, topic: str) -> list[dict[Subscriber, Grant]]:
        """The subscribers of each filter that matches."""
        hits: list[dict[Subscriber, Grant]] = []
        # The first level of a topic that begins with $ is matched by name only (MQTT 4.7.2).
        wild = not topic.startswith("$")
        levels = [self._root]
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
                        hits.append(rest.here)
            levels, wild = following, True
        for level in levels:
            if level.here:
                hits.append(level.here)
            # A filter's last level # stands for its parent level too.
            if (rest := level.below.get("#")) is not None:
                hits.append(rest.here)
        return hits
