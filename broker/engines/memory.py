"""A broker without sockets, for tests and simulations: messages are routed in this process."""

from collections.abc import Callable, Sequence

import msgspec

from broker.contract.engine import Engine, Receiver
from broker.contract.filters import FilterSet, matches
from broker.contract.message import Message
from broker.contract.refusal import Taken
from broker.contract.topics import is_for_once


class MemoryEngine(Engine):
    """Routes between `deliver` (a device publishing), `listen` (a device subscribing) and the node."""

    def __init__(self) -> None:
        self.retained: dict[str, Message] = {}
        self._receiver: Receiver | None = None
        self._wanted = FilterSet(())
        self._replayed: tuple[str, ...] = ()
        self._listeners: list[tuple[str, Callable[[Message], None]]] = []

    async def start(self, receiver: Receiver, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        self._receiver = receiver
        await self.hear(filters, retained)

    async def hear(self, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        asked = FilterSet(one for one in retained if one not in self._replayed)
        self._wanted, self._replayed = FilterSet(filters), tuple(retained)
        for message in tuple(self.retained.values()):
            if self._receiver is not None and asked.matches(message.topic):
                self._receiver(msgspec.structs.replace(message, retain=False, replayed=True))

    async def pause(self) -> None:
        self._wanted = FilterSet(())

    async def stop(self) -> None:
        self._receiver = None
        self._listeners.clear()

    def publish(self, message: Message) -> None:
        self._route(message)

    @property
    def url(self) -> str:
        return "memory:"

    @property
    def connected(self) -> bool:
        return self._receiver is not None

    def listen(self, filter: str, listener: Callable[[Message], None]) -> None:
        """Call `listener` with each message published on a topic that matches `filter` from now on."""
        self._listeners.append((filter, listener))

    def deliver(self, message: Message) -> Taken:
        """Publish as a device would; returned is what the acknowledgement says, or waits for."""
        acknowledged: Taken = None
        clears = message.retain and not message.payload
        if message.retain and is_for_once(message.topic):
            if clears:
                return None
            message = msgspec.structs.replace(message, retain=False)
        if self._receiver is not None and not clears and self._wanted.matches(message.topic):
            acknowledged = self._receiver(message)
        self._route(message)
        return acknowledged

    def _route(self, message: Message) -> None:
        if message.retain and not message.payload:
            self.retained.pop(message.topic, None)
        elif message.retain:
            self.retained[message.topic] = message
        for wanted, listener in tuple(self._listeners):
            if matches(wanted, message.topic):
                listener(message)
