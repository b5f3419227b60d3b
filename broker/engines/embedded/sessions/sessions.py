"""The sessions of all clients: opened, found again, and ended when their time has passed."""

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from broker.engines.embedded.sessions.given import Outlet, SessionDefaults
from broker.engines.embedded.sessions.names import user_of
from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.sessions.wills import Wills


class Subscriptions(Protocol):
    """Where messages find the sessions that want them."""

    def forget(self, session: Session) -> None:
        """Send nothing more to a session, which ends."""


class Sessions:
    """At most `most` sessions, by name. One whose client stays away for `expiry` seconds ends in any case."""

    def __init__(
        self,
        defaults: SessionDefaults,
        subscriptions: Subscriptions,
        wills: Wills,
        *,
        most: int,
        expiry: float,
    ) -> None:
        self._defaults = defaults
        self._subscriptions = subscriptions
        self._wills = wills
        self._most = most
        self._expiry = expiry
        self._sessions: dict[str, Session] = {}
        self._count_of_user: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    def __getitem__(self, name: str) -> Session:
        return self._sessions[name]

    def get(self, name: str) -> Session | None:
        """The session of this name, if there is one."""
        return self._sessions.get(name)

    def open(self, name: str, *, clean_start: bool, expiry: float) -> tuple[Session, bool]:
        """Give a client its session: the one it left, or a new one. Tell whether it was there.

        Its `expiry` is the one asked for, or the longest that there is.
        """
        session = self._sessions.get(name)
        if session is not None and (clean_start or _is_over(session, self._defaults.clock())):
            self.end(session)
            session = None
        present = session is not None
        if session is None:
            session = self.restore(name, expiry)
        else:
            self._wills.cancel(name)
            self.change_expiry(session, expiry)
        session.store.opened(name, session.expiry)
        return session, present

    def change_expiry(self, session: Session, expiry: float) -> None:
        """Let a session last for another time than before, or for the longest that there is."""
        session.expiry = min(expiry, self._expiry)

    def restore(self, name: str, expiry: float) -> Session:
        """Make a session without telling the store of it."""
        session = Session(name, expiry=min(expiry, self._expiry), defaults=self._defaults)
        self._sessions[name] = session
        self._count_of_user[user_of(name)] += 1
        return session

    def close(self, session: Session, outlet: Outlet) -> None:
        """Note that a client is gone; its session stays for as long as its expiry says."""
        if session.outlet is not outlet:
            # Another connection has taken the session over already.
            return
        session.leave(self._defaults.clock())
        if session.expiry:
            self._wills.leave(session)
        else:
            self.end(session)

    def end(self, session: Session) -> None:
        """Forget a session and what waits in it."""
        self._subscriptions.forget(session)
        session.end()
        if self._sessions.get(session.name) is session:
            del self._sessions[session.name]
            user = user_of(session.name)
            self._count_of_user[user] -= 1
            if not self._count_of_user[user]:
                del self._count_of_user[user]
        self._wills.fulfil(session.name)

    def has_room_for(self, name: str) -> bool:
        """Whether a client may have a session of this name: it is there, or there is room for one more."""
        if name in self._sessions:
            return True
        user, most = user_of(name), self._most
        # One user with ever new client identifiers gets three quarters at most, and keeps no other out.
        return len(self) < most and (not user or self._count_of_user[user] < max(1, most * 3 // 4))

    def expire(self) -> None:
        """End the sessions whose clients have been away for too long, and drop what has expired in others."""
        now = self._defaults.clock()
        for session in tuple(self):
            if _is_over(session, now):
                self._defaults.counters.sessions_expired += 1
                self.end(session)
            else:
                session.drop_expired(now)


def _is_over(session: Session, now: float) -> bool:
    """Whether a client has been away for too long."""
    return session.outlet is None and (not session.expiry or now - session.left_at > session.expiry)
