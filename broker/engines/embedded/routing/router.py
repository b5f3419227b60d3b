"""The heart of the broker: all sessions, who subscribed to what, the retained messages. No I/O."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from broker.contract.engine import Receiver
from broker.contract.filters import FilterSet, matches
from broker.contract.message import Message
from broker.engines.embedded.access import Access
from broker.engines.embedded.counters import Counters
from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.packets import FAILURE, Publish
from broker.engines.embedded.routing.retained import RetainedStore
from broker.engines.embedded.routing.shared import PREFIX, SharedGroup, split
from broker.engines.embedded.routing.trie import SubscriptionTrie
from broker.engines.embedded.sessions.session import Outlet, Session, SessionDefaults
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.sessions.waiting import QueueLimits
from broker.engines.embedded.settings import EmbeddedSettings
from broker.security.rules import Identity

BRIDGE_STATES = "$SYS/broker/connection/+/state"
"""Where Mosquitto's bridges tell that they are there: the one place below $SYS that is a client's."""


class Router:
    """Routes messages between the clients, and hands to the node what it asked for.

    While it is `paused`, nothing that clients publish is taken in, and nobody new is let in.
    """

    def __init__(
        self, settings: EmbeddedSettings, access: Access, store: SessionStore, clock: Callable[[], float]
    ) -> None:
        self.settings = settings
        self.access = access
        self.counters = Counters()
        self.retained = RetainedStore(messages=settings.retained_messages, bytes=settings.retained_bytes)
        self.sessions: dict[str, Session] = {}
        self._sessions_of: Counter[str] = Counter()
        self.paused = False
        self._store = store
        self._clock = clock
        self._trie: SubscriptionTrie[Session | SharedGroup] = SubscriptionTrie()
        self._groups: dict[tuple[str, str], SharedGroup] = {}
        self._defaults = SessionDefaults(
            counters=self.counters,
            store=store,
            clock=clock,
            limits=QueueLimits(
                messages=settings.queue_messages, bytes=settings.queue_bytes, age=settings.queue_age
            ),
            window=settings.window,
            replay=settings.retained_messages,
        )
        self._receiver: Receiver | None = None
        self._wanted = FilterSet(())

    def hand_to(self, receiver: Receiver | None, filters: Sequence[str]) -> None:
        """Hand messages that match one of `filters` to the node from now on."""
        self._receiver, self._wanted = receiver, FilterSet(filters)

    def open_session(self, client_id: str, *, clean: bool, bridge: bool = False) -> tuple[Session, bool]:
        """Give a client its session: the one it left, or a new one. Tell whether it was there."""
        session = self.sessions.get(client_id)
        if session is not None and (clean or session.clean):
            self.end_session(session)
            session = None
        if session is not None:
            session.bridge = bridge
            self._store.opened(session)
            return session, True
        session = self.restore_session(client_id, clean=clean, bridge=bridge)
        if not clean:
            self._store.opened(session)
        return session, False

    def restore_session(self, client_id: str, *, clean: bool = False, bridge: bool = False) -> Session:
        """Make a session without telling the store of it."""
        session = Session(client_id, clean=clean, defaults=self._defaults, bridge=bridge)
        self.sessions[client_id] = session
        self._sessions_of[owner(client_id)] += 1
        return session

    def close_session(self, session: Session, outlet: Outlet) -> None:
        """Note that a client is gone; its session stays if it is persistent."""
        if session.outlet is not outlet:
            return
        session.leave(self._clock())
        if session.clean:
            self.end_session(session)

    def end_session(self, session: Session) -> None:
        """Forget a session."""
        for subscribed in session.subscriptions:
            self._unroute(session, subscribed)
        session.subscriptions.clear()
        session.end()
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]
            user = owner(session.client_id)
            self._sessions_of[user] -= 1
            if not self._sessions_of[user]:
                del self._sessions_of[user]

    def has_room_for(self, name: str) -> bool:
        """Whether a client may have a session of this name: it is there, or there is room for one more."""
        if name in self.sessions:
            return True
        user, most = owner(name), self.settings.sessions
        # One user with ever new client identifiers keeps no other out.
        return len(self.sessions) < most and (not user or self._sessions_of[user] < max(1, most * 3 // 4))

    def expire_sessions(self) -> None:
        """End the persistent sessions whose clients have been away for too long."""
        limit = self._clock() - self.settings.session_expiry
        for session in [one for one in self.sessions.values() if one.outlet is None and one.left_at < limit]:
            self.counters.sessions_expired += 1
            self.end_session(session)

    def fresh_client_id(self) -> str:
        """A name for a client that has none."""
        return f"auto-{secrets.token_hex(8)}"

    def subscribe(self, session: Session, filter: str, qos: int) -> int:
        """Subscribe a session; return the code for SUBACK."""
        if filter.startswith(PREFIX) and split(filter) is None:
            # Mosquitto grants it, and never delivers.
            return FAILURE
        known = filter in session.subscriptions
        if not known and len(session.subscriptions) >= self.settings.subscriptions:
            return FAILURE
        self.route_to(session, filter, qos)
        if not session.clean:
            self._store.subscribed(session, filter, qos)
        return qos

    def route_to(self, session: Session, filter: str, qos: int) -> None:
        """Subscribe a session without telling the store of it."""
        session.subscriptions[filter] = qos
        shared = _shared(filter)
        if shared is None:
            self._trie.add(filter, session, qos)
            return
        group = self._groups.get(shared)
        if group is None:
            group = self._groups[shared] = SharedGroup()
            self._trie.add(shared[1], group, 2)
        group.add(session, qos)

    def unsubscribe(self, session: Session, filter: str) -> None:
        """Unsubscribe a session; nothing happens where it had not subscribed."""
        if session.subscriptions.pop(filter, None) is not None:
            self._unroute(session, filter)
            if not session.clean:
                self._store.unsubscribed(session, filter)

    def send_retained(self, session: Session, filter: str, qos: int) -> None:
        """Send a new subscription the retained messages of its filter; a shared one gets none."""
        if _shared(filter) is None:
            for message in self.retained.match(filter):
                session.replay(message, qos)

    def take(
        self, packet: Publish, client_id: str, identity: Identity | None = None
    ) -> asyncio.Future[None] | None:
        """Take a client's message in: hand it to the node, and route it. Return what its ack waits for."""
        if packet.topic.startswith("$") and not _is_for_clients(packet.topic):
            # The broker's own tree: what clients publish there is acknowledged and goes nowhere.
            self.counters.dropped_denied += 1
            return None
        acknowledged = self._hand_over(packet, client_id, identity)
        self.route(
            RoutedMessage(
                packet.topic,
                packet.payload,
                qos=packet.qos,
                born=self._clock(),
                retain=packet.retain,
                sender=client_id,
            )
        )
        return acknowledged

    def route(self, message: RoutedMessage) -> None:
        """Send a message to its subscribers, and keep it if it is to be retained."""
        if message.retain:
            self._retain(message)
        for subscriber, qos in self._trie.match(message.topic):
            subscriber.deliver(message, qos)

    def say(self, topic: str, payload: bytes) -> None:
        """Publish the broker's own word below `$SYS`, retained for as long as the process lives."""
        message = RoutedMessage(topic, payload, qos=0, born=self._clock(), retain=True)
        self.retained.put(message)
        for subscriber, qos in self._trie.match(topic):
            subscriber.deliver(message, qos)

    @property
    def subscriptions(self) -> int:
        """How many filters are subscribed to, a group's counted once."""
        return len(self._trie)

    @property
    def shared_subscriptions(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    def waiting(self) -> Iterator[int]:
        """How many messages wait for each session."""
        return (session.waiting for session in self.sessions.values())

    def _retain(self, message: RoutedMessage) -> None:
        topic = message.topic
        if not message.payload:
            if self.retained.remove(topic):
                self._store.cleared(topic)
        elif self.retained.put(message):
            # What the node says itself it says again when it starts: a write a second would be for nothing.
            if message.sender:
                self._store.kept(message)
        else:
            self.counters.dropped_retained += 1

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

    def _hand_over(
        self, packet: Publish, client_id: str, identity: Identity | None
    ) -> asyncio.Future[None] | None:
        if self._receiver is None or not self._wanted.matches(packet.topic):
            return None
        return self._receiver(
            Message(
                topic=packet.topic,
                payload=packet.payload,
                qos=packet.qos,
                retain=packet.retain,
                client_id=client_id,
                user=None if identity is None else identity.name,
                role=None if identity is None else identity.role,
            )
        )


def session_name(client_id: str, user: str | None) -> str:
    """The name under which a client's session is known.

    Each user has client identifiers of its own, so that nobody takes over another's session and what
    waits in it. U+0000 can be in no client identifier.
    """
    return client_id if user is None else f"{client_id}\0{user}"


def owner(name: str) -> str:
    """The user whose session has this name; empty where clients have no users."""
    return name.partition("\0")[2]


def _shared(filter: str) -> tuple[str, str] | None:
    return split(filter) if filter.startswith(PREFIX) else None


def _is_for_clients(topic: str) -> bool:
    if topic.startswith("$SYS"):
        return matches(BRIDGE_STATES, topic)
    return not topic.startswith("$share")
