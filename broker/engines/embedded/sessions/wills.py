"""The wills of clients: what others are told when one is gone without having taken its leave."""

import math
from collections.abc import Callable

from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.sessions.will import LastWill


class _Kept:
    """A will in force, published at `due`, which is known once its client is gone."""

    __slots__ = ("due", "stored", "will")

    def __init__(self, will: LastWill, *, stored: bool) -> None:
        self.will = will
        self.stored = stored
        self.due = math.inf


class Wills:
    """At most one will for each session, by its name.

    `publish` is told the session and its will, when nothing can keep it back any more. The store keeps a will
    that may outlive its client's connection, and with that the process.
    """

    def __init__(
        self, store: SessionStore, clock: Callable[[], float], publish: Callable[[str, LastWill], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._publish = publish
        self._of: dict[str, _Kept] = {}
        self._next = math.inf

    def keep(self, session: Session, will: LastWill) -> None:
        """Put a will in force: the session's client has connected with it."""
        stored = bool(will.said.delay and session.expiry)
        self._of[session.name] = _Kept(will, stored=stored)
        if stored:
            self._store.will_kept(session.name, will, 0.0)

    def cancel(self, name: str) -> None:
        """Publish nothing: the client has taken its leave, or is back in time."""
        kept = self._of.pop(name, None)
        if kept is not None and kept.stored:
            self._store.will_gone(name)

    def leave(self, session: Session) -> None:
        """Publish the will of a client that is gone, now or in time."""
        kept = self._of.get(session.name)
        if kept is None:
            return
        wait = min(kept.will.said.delay, session.expiry)
        if not wait:
            self.fulfil(session.name)
            return
        kept.due = self._clock() + wait
        self._next = min(self._next, kept.due)
        if kept.stored:
            self._store.will_kept(session.name, kept.will, kept.due)

    def fulfil(self, name: str) -> None:
        """Publish a session's will at once, if it has one: the session ends."""
        kept = self._of.get(name)
        self.cancel(name)
        if kept is not None:
            self._publish(name, kept.will)

    def restore(self, session: Session, will: LastWill, due: float) -> None:
        """Take back a will that an earlier process has kept; without `due` its client was connected then."""
        kept = self._of[session.name] = _Kept(will, stored=True)
        longest = self._clock() + min(will.said.delay, session.expiry)
        kept.due = min(due or longest, longest)
        self._next = min(self._next, kept.due)

    def publish_due(self) -> None:
        """Publish those whose time has come."""
        now = self._clock()
        if now < self._next:
            return
        for name in [name for name, kept in self._of.items() if kept.due <= now]:
            self.fulfil(name)
        self._next = min((kept.due for kept in self._of.values()), default=math.inf)
