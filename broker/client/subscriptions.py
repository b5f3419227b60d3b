"""What a client hears: how it tells a broker, and which copy of a message it takes. No I/O."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from broker.client.settings import ClientSettings
from broker.contract.filter_tree import FilterTree
from broker.contract.filters import SHARED, FilterSet, unshared
from broker.contract.message import Message
from broker.mqtt.kinds import SEND_IF_NEW, SEND_NONE, V5
from broker.mqtt.messages import message_of
from broker.mqtt.packets import Connack, Publish, Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from broker.mqtt.reasons import FAILURE

_QOS = 2
"""What we subscribe with: everything arrives with the QoS it was published with."""

AT_ONCE = 200
"""Filters in one packet: brokers bound its size."""

SUBSCRIBE_ID, UNSUBSCRIBE_ID = 1, 2
"""Packet identifiers that no message gets, so that no reply to a message can be taken for theirs."""


class Subscriptions:
    """The `filters` of a client; under those in `retained` it wants what was retained before.

    A broker may send a message once for each filter that it matches (MQTT 5, 3.3.4), and Mosquitto does. So
    filters that have topics in common get different identifiers, and of the copies of a message that with the
    lowest is taken; one under a shared filter only where no other matches, since others are heard by each who
    shares it. An identifier stays with its filter as long as that is subscribed, also from one life to
    the next: a broker may have queued copies long before. `known` are those of an earlier life, whose filters
    are given up where they are not wanted any more; `keep` is called with those in use before a broker hears
    of them, and when some are gone. The identifiers of filters in `retained` are odd.
    """

    def __init__(
        self,
        settings: ClientSettings,
        filters: Sequence[str],
        retained: Sequence[str] = (),
        *,
        known: Mapping[str, int] | None = None,
        keep: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._keep = keep
        self._numbers = dict(known or {})
        self._replayed: set[str] = set()
        self._told: set[str] = set()
        self._turned: set[str] = set()
        self._asked: dict[int, tuple[str, ...]] = {}
        self._version = V5
        self._identifies = False
        self.refused: set[str] = set()
        self.hear(filters, retained)

    def hear(self, filters: Sequence[str], retained: Iterable[str] = ()) -> None:
        """Want these filters from now on; `next` tells the broker."""
        # To one who shares them with others a broker tells nothing of what is retained.
        retained = {one for one in retained if not one.startswith(SHARED)}
        kept = {*self._settings.kept, *retained}
        self._kept = FilterSet(kept)
        self._wanted = dict.fromkeys(filters)
        # Those of the settings are wanted with each connection, the others once.
        self._once = retained - {*self._settings.kept}
        self._replayed &= self._once
        self.refused &= {*filters}
        tree = self._tree()
        for one in self._wanted:
            number = self._numbers.get(one)
            if number is None or number % 2 != (one in kept):
                # Above all that it overlaps: what was queued of theirs stays the copy that is taken.
                found = (above for level in tree.overlapping(unshared(one)) for above in level.here)
                layer = max((_layer(above) + 1 for above in found), default=0)
                self._numbers[one] = _number(layer, one, kept=one in kept)
                tree.add(unshared(one), self._numbers[one])
                self._told.discard(one)
                if number is not None:
                    self._turned.add(one)
        self._look_up = self._tree()
        self._keep(self._numbers)

    @property
    def filters(self) -> tuple[str, ...]:
        """What is wanted now."""
        return tuple(self._wanted)

    def begin(self, greeting: Connack, version: int) -> None:
        """Tell everything anew, to a broker that has accepted us."""
        self._version = version
        self._identifies = version == V5 and self._settings.live and greeting.subscription_ids
        self._told.clear()
        self._asked.clear()

    def next(self) -> list[Subscribe | Unsubscribe]:
        """What the broker is to be told next, once it has answered all that it was told before."""
        new = {one: self._numbers[one] for one in self._wanted if one not in self._told}
        if not new:
            gone = [one for one in self._numbers if one not in self._wanted]
            return self._unsubscribe(gone[:AT_ONCE])
        first = min(new.values())
        # Only the identifier makes it several packets.
        filters = tuple(one for one in new if not self._identifies or new[one] == first)[:AT_ONCE]
        self._asked[SUBSCRIBE_ID] = filters
        number = first if self._identifies else 0
        subscribe = Subscribe(SUBSCRIBE_ID, tuple(map(self._subscription, filters)), number)
        # Mosquitto 2.0.11 keeps the options of a subscription that is replaced.
        return [*self._unsubscribe([one for one in filters if one in self._turned]), subscribe]

    def answered(self, packet: Suback | Unsuback) -> list[str]:
        """Take in the broker's answer; returns the filters that it refuses. KeyError if none is due."""
        asked = self._asked.pop(packet.packet_id)
        if isinstance(packet, Suback):
            self._told.update(asked)
            self._replayed.update(one for one in asked if one in self._once)
            refused = [one for one, code in zip(asked, packet.codes, strict=False) if code >= FAILURE]
            self.refused = (self.refused - {*asked}) | {*refused}
            return refused
        for one in asked:
            # It may be wanted again by now.
            if one not in self._wanted:
                self._numbers.pop(one, None)
        self._told -= {*asked}
        self._turned -= {*asked}
        self._look_up = self._tree()
        self._keep(self._numbers)
        return []

    @property
    def answers_due(self) -> bool:
        """Whether the broker has not answered all that it was told."""
        return bool(self._asked)

    def message(self, packet: Publish) -> Message | None:
        """The message that a packet brings; None for a further copy, and for a replay that is not wanted."""
        retained, numbers = packet.retain, packet.subscription_ids
        if retained and self._version == V5 and self._settings.live:
            # Elsewhere the flag says how the message was published.
            replayed = all(one % 2 for one in numbers) if numbers else self._kept.matches(packet.topic)
        else:
            replayed = retained
        if replayed and not self._kept.matches(packet.topic):
            return None
        if numbers and self._is_further(packet.topic, numbers, replayed=replayed):
            return None
        return message_of(packet, retain=retained and not replayed, replayed=replayed)

    def _is_further(self, topic: str, numbers: tuple[int, ...], *, replayed: bool) -> bool:
        """Whether a copy is not the one that is taken; one under no filter of ours is taken in any case."""
        matching = [
            one for level in self._look_up.find(topic) for one in level.here if one % 2 or not replayed
        ]
        first = min(matching, key=_rank, default=0)
        return first not in numbers and any(one in numbers for one in matching)

    def _subscription(self, filter: str) -> Subscription:
        if self._version != V5 or not self._settings.live:
            return Subscription(filter, _QOS)
        if self._numbers[filter] % 2 == 0:
            return Subscription(filter, _QOS, retain_as_published=True, retain_handling=SEND_NONE)
        if filter in self._replayed:
            return Subscription(filter, _QOS, retain_handling=SEND_IF_NEW)
        return Subscription(filter, _QOS)

    def _unsubscribe(self, filters: Sequence[str]) -> list[Subscribe | Unsubscribe]:
        if not filters:
            return []
        self._asked[UNSUBSCRIBE_ID] = tuple(filters)
        return [Unsubscribe(UNSUBSCRIBE_ID, tuple(filters))]

    def _tree(self) -> FilterTree[int]:
        tree: FilterTree[int] = FilterTree()
        for one, number in self._numbers.items():
            tree.add(unshared(one), number)
        return tree


def _number(layer: int, filter: str, *, kept: bool) -> int:
    """The identifier of a filter above which so many others have topics in common with it."""
    return 4 * layer + (4 if filter.startswith(SHARED) else 1 if kept else 2)


def _layer(number: int) -> int:
    return (number - 1) // 4


def _rank(number: int) -> tuple[bool, int]:
    """Which of several filters of a message counts: the lowest."""
    return number % 4 == 0, number
