"""Who subscribed to what, the retained messages, and where each message goes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from broker.contract.filters import SHARED, FilterSet, matches, split_shared
from broker.contract.identity import Identity
from broker.contract.message import Message
from broker.contract.refusal import Refusal, Taken
from broker.contract.topics import is_for_once
from broker.engines.embedded.counters import Counters
from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.routing.retained import RetainedStore, is_said_again
from broker.engines.embedded.routing.shared import SharedGroup
from broker.engines.embedded.routing.trie import SubscriptionTrie
from broker.engines.embedded.sessions.grant import GRANTS, Grant
from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.ghosts import FORGOTTEN_AFTER, NODES_FILTERS, ghosts
from broker.mqtt.messages import message_of
from broker.mqtt.packets import Publish
from broker.mqtt.reasons import Reason

BRIDGE_STATES = "$SYS/broker/connection/+/state"
"""Where Mosquitto's bridges say that they are up: all that clients may publish below $SYS."""

OWN_TREE = Refusal(Reason.NOT_AUTHORIZED, "what begins with $ is the broker's own")


@dataclass(frozen=True, slots=True)
class Sender:
    """A client that publishes: as it calls itself, the name of its session, and who it has proved to be."""

    client_id: str
    session: str
    identity: Identity | None


class Subscribed(NamedTuple):
    """What became of a subscription: the QoS granted or a reason code, and whether it is a new one."""

    code: int
    new: bool


class Router:
    """Routes messages between the clients, and hands to the node what it asked for.

    `subscriptions` is how many filters one session may subscribe to.
    """

    def __init__(
        self,
        counters: Counters,
        store: SessionStore,
        clock: Callable[[], float],
        *,
        retained: RetainedStore,
        subscriptions: int,
    ) -> None:
        self.retained = retained
        self._counters = counters
        self._store = store
        self._clock = clock
        self._most_subscriptions = subscriptions
        self._trie: SubscriptionTrie[Session | SharedGroup] = SubscriptionTrie()
        self._groups: dict[tuple[str, str], SharedGroup] = {}
        self._receiver: Callable[[Message], Taken] | None = None
        self._wanted = FilterSet(())

    def hand_to(self, receiver: Callable[[Message], Taken] | None, filters: Sequence[str]) -> None:
        """Hand messages that match one of `filters` to the node from now on."""
        self._receiver, self._wanted = receiver, FilterSet(filters)

    def retained_under(self, filters: Sequence[str]) -> list[RoutedMessage]:
        """What is retained that matches one of `filters`, once each."""
        now = self._clock()
        found = {one.topic: one for wanted in filters for one in self.retained.match(wanted)}
        return [one for one in found.values() if one.expires >= now]

    def subscribe(self, session: Session, filter: str, grant: Grant) -> Subscribed:
        """Subscribe a session, or replace what it was granted for a filter."""
        if filter.startswith(SHARED) and split_shared(filter) is None:
            # Mosquitto grants it, and never delivers.
            return Subscribed(Reason.TOPIC_FILTER_INVALID, new=False)
        new = filter not in session.subscriptions
        if new and len(session.subscriptions) >= self._most_subscriptions:
            return Subscribed(Reason.QUOTA_EXCEEDED, new=False)
        self.route_to(session, filter, grant)
        session.store.subscribed(session.name, filter, grant)
        return Subscribed(grant.qos, new)

    def route_to(self, session: Session, filter: str, grant: Grant) -> None:
        """Subscribe a session without telling the store of it."""
        session.subscriptions[filter] = grant
        shared = _shared(filter)
        if shared is None:
            self._trie.add(filter, session, grant)
            return
        group = self._groups.get(shared)
        if group is None:
            group = self._groups[shared] = SharedGroup()
            self._trie.add(shared[1], group, GRANTS[2])
        group.add(session, grant)

    def unsubscribe(self, session: Session, filter: str) -> bool:
        """Unsubscribe a session; tell whether it had subscribed."""
        if session.subscriptions.pop(filter, None) is None:
            return False
        self._unroute(session, filter)
        session.store.unsubscribed(session.name, filter)
        return True

    def forget(self, session: Session) -> None:
        """Send nothing more to a session, which ends; the store hears of its end alone."""
        for subscribed in session.subscriptions:
            self._unroute(session, subscribed)
        session.subscriptions.clear()

    def send_retained(self, session: Session, filter: str) -> None:
        """Send a subscription the retained messages of its filter; a shared one gets none."""
        if _shared(filter) is None:
            now, grant = self._clock(), session.subscriptions[filter]
            for message in self.retained.match(filter):
                if message.expires >= now:
                    session.replay(message, grant)

    def take(self, packet: Publish, sender: Sender) -> Taken:
        """Take a client's message in: hand it to the node, and route it. Return what its ack waits for."""
        if packet.topic.startswith("$") and not _is_for_clients(packet.topic):
            # The broker's own tree: what clients publish there goes nowhere.
            self._counters.dropped_denied += 1
            return OWN_TREE
        retain = packet.retain
        clears = retain and not packet.payload
        if retain and is_for_once(packet.topic):
            if clears:
                # What is not kept here: nothing is to be done.
                return None
            retain = False
        acknowledged = None if clears else self._hand_over(packet, sender)
        born = self._clock()
        self.route(
            RoutedMessage(
                packet.topic,
                packet.payload,
                qos=packet.qos,
                born=born,
                retain=retain,
                sender=sender.session,
                expires=math.inf if packet.expiry is None else born + packet.expiry,
                passed=packet.passed,
            )
        )
        return acknowledged

    def route(self, message: RoutedMessage) -> None:
        """Send a message to its subscribers, and keep it if it is to be retained."""
        if message.retain:
            self._retain(message)
        for subscriber, grant in self._trie.match(message.topic):
            subscriber.deliver(message, grant)

    def forget_nodes(self) -> None:
        """Clear the retained words of nodes that have said nothing for long, and tell those who hear them."""
        now = self._clock()
        # What the node says itself is its own to say again.
        kept = (one for states in NODES_FILTERS for one in self.retained.match(states))
        heard = ((one.topic, one.born) for one in kept if one.sender)
        for topic in ghosts(heard, now - FORGOTTEN_AFTER):
            self.route(RoutedMessage(topic, b"", qos=0, born=now, retain=True))

    def drop_expired(self) -> None:
        """Keep no retained message any longer than it may be sent to anybody."""
        for topic in self.retained.expired(self._clock()):
            self.retained.remove(topic)
            self._store.cleared(topic)

    def say(self, topic: str, payload: bytes) -> None:
        """Publish the broker's own word below `$SYS`, retained for as long as the process lives."""
        message = RoutedMessage(topic, payload, qos=0, born=self._clock(), retain=True)
        self.retained.put(message)
        for subscriber, grant in self._trie.match(topic):
            subscriber.deliver(message, grant)

    @property
    def subscriptions(self) -> int:
        """How many filters are subscribed to, a group's counted once."""
        return len(self._trie)

    @property
    def shared_subscriptions(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    def _retain(self, message: RoutedMessage) -> None:
        topic = message.topic
        if not message.payload:
            if self.retained.remove(topic):
                self._store.cleared(topic)
        elif self.retained.put(message):
            # A write a second would be for nothing.
            if not is_said_again(message):
                self._store.kept(message)
        else:
            self._counters.dropped_retained += 1

    def _unroute(self, session: Session, filter: str) -> None:
        shared = _shared(filter)
        if shared is None:
            self._trie.remove(filter, session)
            return
        group = self._groups.get(shared)
        if group is not None:
            group.remove(session)
            if not group:
                del self._groups[shared]
                self._trie.remove(shared[1], group)

    def _hand_over(self, packet: Publish, sender: Sender) -> Taken:
        if self._receiver is None or not self._wanted.matches(packet.topic):
            return None
        identity = sender.identity
        return self._receiver(
            message_of(
                packet,
                client_id=sender.client_id,
                user=None if identity is None else identity.name,
                role=None if identity is None else identity.role,
                reads=() if identity is None else identity.read,
            )
        )


def _shared(filter: str) -> tuple[str, str] | None:
    return split_shared(filter) if filter.startswith(SHARED) else None


def _is_for_clients(topic: str) -> bool:
    if topic.startswith("$SYS"):
        return matches(BRIDGE_STATES, topic)
    return not topic.startswith("$share")
