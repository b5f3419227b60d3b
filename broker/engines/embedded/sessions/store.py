"""What the sessions tell whoever keeps them on disk."""

from collections.abc import Iterable

from broker.engines.embedded.message import Delivery, DiskMessage, RoutedMessage
from broker.engines.embedded.sessions.grant import Grant
from broker.engines.embedded.sessions.will import LastWill


class SessionStore:
    """Told of every change to a persistent session, by its name, and to a retained message, as it happens.

    Nothing that follows from a change may leave this process before `commit` has returned. This one keeps
    nothing: what the broker knows lives as long as its process. `SqliteStore` keeps all.
    """

    def opened(self, session: str, expiry: float) -> None:
        """A persistent session was made, or its client is back."""

    def ended(self, session: str, deliveries: Iterable[Delivery]) -> None:
        """A persistent session is no more, nor what was in it."""

    def left(self, session: str, now: float, expiry: float) -> None:
        """The client of a persistent session is gone."""

    def subscribed(self, session: str, filter: str, grant: Grant) -> None:
        """A subscription was made, or its grant replaced."""

    def unsubscribed(self, session: str, filter: str) -> None:
        """A subscription was taken back."""

    def added(self, session: str, delivery: Delivery) -> None:
        """A message waits for the client, or is on its way to it."""

    def moved(self, delivery: Delivery) -> None:
        """The message has come further."""

    def removed(self, delivery: Delivery) -> None:
        """The message has arrived, or was dropped."""

    def heard(self, session: str, packet_id: int) -> None:
        """A message of QoS 2 came from the client."""

    def released(self, session: str, packet_id: int) -> None:
        """The client will not send that message again."""

    def kept(self, message: RoutedMessage) -> None:
        """A message is retained."""

    def cleared(self, topic: str) -> None:
        """A topic has no retained message any more."""

    def will_kept(self, session: str, will: LastWill, due: float) -> None:
        """A will is to be published, at `due`, or by who comes after this process where that is 0."""

    def will_gone(self, session: str) -> None:
        """A session has no will any more."""

    @property
    def keeps(self) -> bool:
        """Whether messages can wait in it instead of in memory."""
        return False

    def parked(self, message: DiskMessage) -> None:
        """A message is to wait here instead of in memory, whatever session it waits for."""

    def unparked(self, message: RoutedMessage) -> None:
        """It need not wait any longer."""

    @property
    def dirty(self) -> bool:
        """Whether there is something to commit."""
        return False

    def commit(self) -> None:
        """Keep everything told so far. Raises StoreFailed, and can then be tried again."""

    def close(self) -> None:
        """Keep everything told so far, and open nothing again."""
