"""What waits for one client: a queue with a bound on count, bytes and age."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from broker.engines.embedded.message import Delivery, RoutedMessage

OVERHEAD = 200
"""Bytes that a delivery costs beside its content, so that empty messages count too."""

IDENTIFIER = 8
"""Bytes that each subscription identifier costs: a client may have a thousand filters that match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How much may wait for a client; `age` in seconds."""

    messages: int
    bytes: int
    age: float


class WaitingQueue:
    """First in, first out. What does not fit is refused, since those that wait were promised first."""

    __slots__ = ("_bytes", "_deliveries", "_expiring", "_limits")

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        # Most sessions never wait for anything, and an empty deque is 600 bytes.
        self._deliveries: deque[Delivery] | None = None
        self._bytes = 0
        # Whether anything that waits may expire.
        self._expiring = False

    def __len__(self) -> int:
        return len(self._deliveries) if self._deliveries is not None else 0

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._deliveries or ())

    def put(self, delivery: Delivery, *, beyond: int = 0) -> bool:
        """Add a delivery if there is room; False if not. `beyond` as many more may wait than usual."""
        if len(self) >= self._limits.messages + beyond:
            return False
        if not beyond and not self.has_memory_for(delivery.message, delivery.identifiers):
            return False
        self.add(delivery)
        return True

    @property
    def has_place(self) -> bool:
        """Whether one more may wait that takes no memory to speak of."""
        return len(self) < self._limits.messages

    def has_memory_for(self, message: RoutedMessage, identifiers: tuple[int, ...]) -> bool:
        """Whether a message may wait in memory."""
        return self._bytes + _overhead(identifiers) + message.content_size <= self._limits.bytes

    def add(self, delivery: Delivery) -> None:
        """Add a delivery, whether there is room or not."""
        if self._deliveries is None:
            self._deliveries = deque()
        self._deliveries.append(delivery)
        self._bytes += cost(delivery)
        self._expiring = self._expiring or delivery.message.expires < math.inf

    def first(self) -> Delivery | None:
        """The delivery that waited longest."""
        return self._deliveries[0] if self._deliveries else None

    def take(self) -> Delivery:
        """Take out the delivery that waited longest."""
        assert self._deliveries
        delivery = self._deliveries.popleft()
        self._bytes -= cost(delivery)
        if not self._deliveries:
            self._deliveries = None
        return delivery

    def too_old(self, delivery: Delivery, now: float) -> bool:
        """Whether a delivery has waited for longer than it may; what was retained before has no age."""
        message = delivery.message
        return now > message.expires or (not delivery.replayed and now - message.born > self._limits.age)

    def take_expired(self, now: float) -> list[Delivery]:
        """Take out what has expired, wherever it waits."""
        if not self._expiring:
            return []
        kept, self._deliveries, self._bytes, self._expiring = tuple(self), None, 0, False
        expired = []
        for delivery in kept:
            if now > delivery.message.expires:
                expired.append(delivery)
            else:
                self.add(delivery)
        return expired


def cost(delivery: Delivery) -> int:
    """Bytes of memory that it takes."""
    message = delivery.message
    return _overhead(delivery.identifiers) + (0 if message.on_disk else message.content_size)


def _overhead(identifiers: tuple[int, ...]) -> int:
    return OVERHEAD + IDENTIFIER * len(identifiers)
