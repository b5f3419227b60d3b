"""Who subscribed to what."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from broker.contract.filter_tree import FilterTree
from broker.engines.embedded.sessions.grant import Grant

Subscriber = TypeVar("Subscriber", bound=Hashable)


class SubscriptionTrie(Generic[Subscriber]):
    """Filters with their subscribers and what each was granted."""

    def __init__(self) -> None:
        self._tree: FilterTree[dict[Subscriber, Grant]] = FilterTree()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, filter: str, subscriber: Subscriber, grant: Grant) -> None:
        """Subscribe, or replace the grant of an earlier subscription."""
        held = self._tree.at(filter).here
        if not held:
            held.append({})
        self._count += subscriber not in held[0]
        held[0][subscriber] = grant

    def remove(self, filter: str, subscriber: Subscriber) -> None:
        """Unsubscribe; nothing happens where there is no such subscription."""
        for here in self._tree.held(filter):
            self._count -= here.pop(subscriber, None) is not None
            if not here:
                self._tree.remove(filter)

    def match(self, topic: str) -> list[tuple[Subscriber, Grant]]:
        """The subscribers of a topic, once each, with what all their subscriptions together grant.

        The list is the caller's own: subscriptions may change while it is gone through.
        """
        hits = [level.here[0] for level in self._tree.find(topic)]
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
