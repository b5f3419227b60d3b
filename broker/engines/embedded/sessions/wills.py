"""The wills of clients: what others are told when one is gone without having taken its leave."""

import math
from collections.abc import Callable

from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.sessions.will import LastWill


class _Kept:
    """A will in force, published at `due`, which is known once its client is gone."""

    __slots__ = ("due", "store", "will")

    def __init__(self, will: LastWill, store: SessionStore | None) -> None:
        self.will = will
        self.store = store
        self.due = math.inf


class Wills:
    """At most one will for each session, by its name.

    `publish` is told the session and its will, when nothing can keep it back any more. The session's store
    keeps a will that may outlive its client's connection, and with that the process.
    """

    def __init__(self, clock: Callable[[], float], publish: Callable[[str, LastWill], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._of: dict[str, _Kept] = {}
        self._next = math.inf

    def keep(self, session: Session, will: LastWill) -> None:
        """Put a will in force: the session's client has connected with it."""
        store = session.store if will.said.delay and session.expiry else None
        self._of[session.name] = _Kept(will, store)
        if store is not None:
            store.will_kept(session.name, will, 0.0)

    def cancel(self, name: str) -> None:
        """Publish nothing: the client has taken its leave, or is back in time."""
        kept = self._of.pop(name, None)
        if kept is not None and kept.store is not None:
            kept.store.will_gone(name)

    def leave(self, session: Session) -> None:
        """Publish the will of a client that is gone, now or in time."""
        kept = self._of.get(session.name)
        if kept is None:
            return
        wait = min(kept.will.said.delay, session.expiry)
        if not wait:
            self.fulfil(session.name)
            return
        self._wait(kept, self._clock() + wait)
        if kept.store is not None:
            kept.store.will_kept(session.name, kept.will, kept.due)

    def fulfil(self, name: str) -> None:
        """Publish a session's will at once, if it has one: the session ends."""
        kept = self._of.get(name)
        self.cancel(name)
        if kept is not None:
            self._publish(name, kept.will)

    def restore(self, session: Session, will: LastWill, due: float) -> None:
        """Take back a will that an earlier process has kept; without `due` its client was connected then."""
        kept = self._of[session.name] = _Kept(will, session.store)
        longest = self._clock() + min(will.said.delay, session.expiry)
        self._wait(kept, min(due or longest, longest))

    def publish_due(self) -> None:
        """Publish those whose time has come."""
        now = self._clock()
        if now < self._next:
            return
        for name in [name for name, kept in self._of.items() if kept.due <= now]:
            self.fulfil(name)
        self._next = min((kept.due for kept in self._of.values()), default=math.inf)

    def _wait(self, kept: _Kept, due: float) -> None:
        kept.due = due
        self._next = min(self._next, due)
