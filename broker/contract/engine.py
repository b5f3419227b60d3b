"""What a node asks of a broker: the contract that every engine keeps.

`broker.engines.embedded` runs a broker inside this process, `broker.engines.external` is a client of a broker
elsewhere, and `broker.engines.memory` has no sockets at all, for tests and simulations.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from broker.contract.message import Message
from broker.contract.refusal import Taken

Receiver = Callable[[Message], Taken]
"""What a node gives an engine to be called with each message that matches its filters.

It is called on the event loop, in the order in which each client published, and must not block.
The publisher's acknowledgement (PUBACK, PUBREC) waits for the future it returns and keeps the
client's order; None acknowledges at once. A future that fails leaves the message
unacknowledged and ends the connection it came by, so that the publisher sends it again.
A refusal, returned or the future's result, says why the node does nothing with the message: an engine tells
it in the acknowledgement, or acknowledges as ever where that has no room for it, as in MQTT 3.1.1. The
publisher hears it by an outcome too.
What is published to be retained is handed over like any other message; of orders the broker keeps nothing. An
empty one, which only clears, is not handed over where the broker tells that it has the flag.
"""

Known = Mapping[str, Mapping[str, object]]
"""By kind and name, what is another value where somebody or something has changed."""


class Engine(ABC):
    """A broker, as a node sees it. Used once: started, then stopped."""

    @abstractmethod
    async def start(self, receiver: Receiver, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        """Open the broker and hand every message that matches `filters` to `receiver`, once each.

        Under those that are in `retained`, what the broker has retained already is handed over, too, as
        `replayed`. Returns once clients can be served. Raises EngineError.
        """

    @abstractmethod
    async def hear(self, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        """Hand over what matches these filters from now on; what matches the last ones, too, is never missed.

        Under those in `retained` that were not there before, what the broker has retained is handed over.
        Returns once the broker has taken note; one that is away does so when it is back.
        """

    @abstractmethod
    async def pause(self) -> None:
        """Take no further messages in, while `publish` still works: the first step of a drain.

        What a publisher is acknowledged from now on is kept for the node's next life, or for whoever shares
        the subscription; anything else stays unacknowledged.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Close every connection. A second call does nothing."""

    @abstractmethod
    def publish(self, message: Message) -> asyncio.Future[None] | None:
        """Give a message to the broker's subscribers.

        None says that it was routed; a future, of QoS 1 and 2 at an external broker, is done when that has
        acknowledged it, or fails with EngineUnavailable or PublishRefused. Raises EngineUnavailable when the
        broker can't take it now.
        """

    def reread(self) -> None:  # noqa: B027  # most have no files
        """Use the users and certificates as they are in their files now.

        Raises SettingsError where they cannot be used; then those that are known stay.
        """

    def known(self) -> Known:
        """The users and certificates in force; nothing where the broker does not tell, or does not run."""
        return {}

    @property
    @abstractmethod
    def url(self) -> str:
        """Where devices reach the broker, as `mqtt://HOST:PORT`; known once started."""

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether the broker can be reached now."""

    @property
    def echoes(self) -> bool:
        """Whether the broker hands what this process publishes back to it, where it matches the filters."""
        return False

    @property
    def denied(self) -> int:
        """Publishes since the start that their users may not make; 0 where the broker does not tell."""
        return 0

    @property
    def trouble(self) -> tuple[str, ...]:
        """What is wrong with its files and its subscribers, in sentences; nothing where it is not known."""
        return ()
