"""The heart of the broker: all sessions, who subscribed to what, the retained messages. No I/O."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from broker.embedded.access import Access
from broker.embedded.packets import FAILURE, Publish
from broker.embedded.retained import RetainedStore
from broker.embedded.session import Outlet, Session, SessionLimits
from broker.embedded.settings import EmbeddedSettings
from broker.embedded.trie import SubscriptionTrie
from broker.engine import Message, Receiver
from broker.filters import matches


@dataclass(slots=True)
class Counters:
    """What the broker has done since it started."""

    received: int = 0
    dropped_retained: int = 0
    refused_connections: int = 0
    connections: int = 0


class Hub:
    """Routes messages between the clients, and hands to the node what it asked for."""

    def __init__(self, settings: EmbeddedSettings, access: Access) -> None:
        self.settings = settings
        self.access = access
        self.counters = Counters()
        self.retained = RetainedStore(settings.retained_messages)
        self.sessions: dict[str, Session] = {}
        self._trie: SubscriptionTrie[Session] = SubscriptionTrie()
        self._limits = SessionLimits(
            window=settings.window,
            queue_messages=settings.queue_messages,
            queue_bytes=settings.queue_bytes,
        )
        self._receiver: Receiver | None = None
        self._filters: tuple[str, ...] = ()
        self._paused = False

    def hand_to(self, receiver: Receiver, filters: Sequence[str]) -> None:
        """Hand messages that match one of `filters` to the node from now on."""
        self._receiver, self._filters = receiver, tuple(filters)

    def pause(self) -> None:
        """Leave what the node would be handed unacknowledged from now on, so that it is sent again later."""
        self._paused = True

    def open_session(self, client_id: str, *, clean: bool) -> tuple[Session, bool]:
        """Give a client its session: the one it left, or a new one. Tell whether it was there."""
        session = self.sessions.get(client_id)
        if session is not None and (clean or session.clean):
            self.end_session(session)
            session = None
        if session is not None:
            return session, True
        session = self.sessions[client_id] = Session(client_id, clean=clean, limits=self._limits)
        return session, False

    def close_session(self, session: Session, outlet: Outlet) -> None:
        """Note that a client is gone; its session stays if it is persistent."""
        if session.outlet is not outlet:
            return
        session.outlet = None
        if session.clean:
            self.end_session(session)

    def end_session(self, session: Session) -> None:
        """Forget a session."""
        for subscribed in session.subscriptions:
            self._trie.remove(subscribed, session)
        session.subscriptions.clear()
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]

    def fresh_client_id(self) -> str:
        """A name for a client that has none."""
        return f"auto-{secrets.token_hex(8)}"

    def subscribe(self, session: Session, filter: str, qos: int) -> int:
        """Subscribe a session; return the code for SUBACK."""
        known = filter in session.subscriptions
        if not known and len(session.subscriptions) >= self.settings.subscriptions:
            return FAILURE
        session.subscriptions[filter] = qos
        self._trie.add(filter, session, qos)
        return qos

    def unsubscribe(self, session: Session, filter: str) -> None:
        """Unsubscribe a session."""
        if session.subscriptions.pop(filter, None) is not None:
            self._trie.remove(filter, session)

    def send_retained(self, session: Session, filter: str, qos: int) -> None:
        """Send a new subscriber the retained messages of its filter."""
        for message in self.retained.match(filter):
            session.deliver(replace(message, qos=min(qos, message.qos), retain=True))

    def take(self, message: Publish, client_id: str) -> asyncio.Future[None] | None:
        """Take a client's message in: hand it to the node, and route it. Return what its ack waits for."""
        self.counters.received += 1
        if message.topic.startswith("$"):
            # The broker's own tree: what clients publish there is acknowledged and goes nowhere.
            return None
        acknowledged = self._hand_over(message, client_id)
        self.route(message)
        return acknowledged

    def route(self, message: Publish) -> None:
        """Send a message to its subscribers, and keep it if it is to be retained."""
        if message.retain and not self.retained.put(replace(message, dup=False, packet_id=0)):
            self.counters.dropped_retained += 1
        for session, qos in self._trie.match(message.topic).items():
            session.deliver(Publish(message.topic, message.payload, min(qos, message.qos), retain=False))

    def _hand_over(self, message: Publish, client_id: str) -> asyncio.Future[None] | None:
        if self._receiver is None or not any(matches(one, message.topic) for one in self._filters):
            return None
        if self._paused:
            return asyncio.get_running_loop().create_future()
        return self._receiver(
            Message(
                topic=message.topic,
                payload=message.payload,
                qos=message.qos,
                retain=message.retain,
                client_id=client_id,
            )
        )

    @property
    def subscriptions(self) -> int:
        """How many subscriptions there are."""
        return len(self._trie)
