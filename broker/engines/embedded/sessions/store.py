"""What the sessions tell whoever keeps them on disk. `SqliteStore` does; `NoStore` does not."""

from collections.abc import Iterable
from typing import Protocol

from broker.engines.embedded.message import Delivery, RoutedMessage


class SessionStore(Protocol):
    """Told of every change to a persistent session, by its name, and to a retained message, as it happens.

    Nothing that follows from a change may leave this process before `commit` has returned.
    """

    def opened(self, session: str) -> None:
        """A persistent session was made, or its client is back."""

    def ended(self, session: str, deliveries: Iterable[Delivery]) -> None:
        """A persistent session is no more, nor what was in it."""

    def left(self, session: str, now: float) -> None:
        """The client of a persistent session is gone."""

    def subscribed(self, session: str, filter: str, qos: int) -> None:
        """A subscription was made, or its QoS replaced."""

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

    @property
    def dirty(self) -> bool:
        """Whether there is something to commit."""

    def commit(self) -> None:
        """Keep everything told so far. Raises StoreFailed, and can then be tried again."""

    def close(self) -> None:
        """Keep everything told so far, and open nothing again."""


class NoStore:
    """Keeps nothing: what the broker knows lives as long as its process."""

    dirty = False

    def opened(self, session: str) -> None: ...

    def ended(self, session: str, deliveries: Iterable[Delivery]) -> None: ...

    def left(self, session: str, now: float) -> None: ...

    def subscribed(self, session: str, filter: str, qos: int) -> None: ...

    def unsubscribed(self, session: str, filter: str) -> None: ...

    def added(self, session: str, delivery: Delivery) -> None: ...

    def moved(self, delivery: Delivery) -> None: ...

    def removed(self, delivery: Delivery) -> None: ...

    def heard(self, session: str, packet_id: int) -> None: ...

    def released(self, session: str, packet_id: int) -> None: ...

    def kept(self, message: RoutedMessage) -> None: ...

    def cleared(self, topic: str) -> None: ...

    def commit(self) -> None: ...

    def close(self) -> None: ...
