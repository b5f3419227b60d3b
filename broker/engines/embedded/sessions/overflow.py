"""What the node says that does not fit into a client's queue in memory: it waits on disk, within bounds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from broker.engines.embedded.message import DiskMessage, RoutedMessage
from broker.engines.embedded.sessions.names import client_of
from broker.engines.embedded.sessions.store import SessionStore

NAMED = 3
"""Clients that are named in the node's trouble at once: its state is sent every second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverflowLimits:
    """Bytes that may wait on disk for one client, and for all."""

    client: int
    all: int


@dataclass(slots=True)
class _Excess:
    """One session's: the bytes on disk, the topic that came last, and how many messages found no room."""

    bytes: int = 0
    topic: str = ""
    lost: int = 0


class Overflow:
    """Keeps messages in the store, which gives their contents back when they are sent.

    `note` is told the event, session and topic when the first message of a session comes here, and when the
    first one is lost; again only after the session has caught up.
    """

    def __init__(
        self, store: SessionStore, limits: OverflowLimits, note: Callable[[str, str, str], None]
    ) -> None:
        self._store = store
        self._limits = limits
        self._note = note
        self._of: dict[str, _Excess] = {}
        self._bytes = 0

    def take(self, session: str, message: RoutedMessage) -> DiskMessage | None:
        """The same message as one that does not stay in memory; None where there is no room."""
        excess = self._of.get(session) or _Excess()
        room = min(self._limits.client - excess.bytes, self._limits.all - self._bytes)
        if message.content_size > room or not self._store.keeps:
            return None
        if not excess.bytes:
            self._note("messages_on_disk", session, message.topic)
        kept = message.copy(DiskMessage)
        self._store.parked(kept)
        self.restore(session, kept)
        return kept

    def restore(self, session: str, message: RoutedMessage) -> None:
        """Count a message that an earlier process has left on disk."""
        excess = self._of.setdefault(session, _Excess())
        excess.bytes += message.content_size
        excess.topic = message.topic
        self._bytes += message.content_size

    def release(self, session: str, message: RoutedMessage) -> None:
        """Let go of a message that has arrived, or was dropped."""
        self._store.unparked(message)
        self._of[session].bytes -= message.content_size
        self._bytes -= message.content_size

    def lose(self, session: str, topic: str) -> None:
        """Note that a message found no room here either."""
        excess = self._of.setdefault(session, _Excess())
        if not excess.lost:
            self._note("message_dropped", session, topic)
        excess.lost += 1
        excess.topic = topic

    def forget(self, session: str) -> None:
        """Note that nothing waits for a session any more, in memory or here."""
        self._of.pop(session, None)

    def trouble(self) -> Iterator[str]:
        """Sentences for the operator."""
        for session, excess in islice(self._of.items(), NAMED):
            client = client_of(session)
            if excess.bytes:
                size = f"{excess.bytes / (1 << 20):.1f} MiB"
                yield f"client {client} is away or slow: {size} wait on disk for it ({excess.topic})"
            if excess.lost:
                yield (
                    f"{excess.lost} outcomes found no room in the queue of client {client} ({excess.topic});"
                    " it gets them if it submits the same tasks under the same ids again"
                )
        if len(self._of) > NAMED:
            yield f"{len(self._of) - NAMED} more clients are away or slow, and much waits for them"
