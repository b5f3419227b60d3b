"""Shared subscriptions, `$share/<group>/<filter>`: each message goes to one member of the group."""

from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.sessions.grant import Grant
from broker.engines.embedded.sessions.session import Session


class SharedGroup:
    """The members of one group for one filter, in the order of their turns."""

    def __init__(self) -> None:
        self._members: dict[Session, Grant] = {}

    def __len__(self) -> int:
        return len(self._members)

    def add(self, session: Session, grant: Grant) -> None:
        """Let a session join, or replace its grant."""
        self._members[session] = grant

    def remove(self, session: Session) -> None:
        """Let a session leave."""
        self._members.pop(session, None)

    def deliver(self, message: RoutedMessage, _granted: Grant) -> None:
        """Give a message to the next member that can take it now, else to a connected one, else to any."""
        chosen = self._choose()
        if chosen is not None:
            grant = self._members.pop(chosen)
            self._members[chosen] = grant
            chosen.deliver(message, grant)

    def _choose(self) -> Session | None:
        connected = None
        for session in self._members:
            if session.has_room:
                return session
            if connected is None and session.outlet is not None:
                connected = session
        return connected or next(iter(self._members), None)
