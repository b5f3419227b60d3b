"""What the broker holds for one client: its subscriptions, and the messages on their way to it. No I/O."""

import enum
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from broker.embedded.packets import PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, encode_ack, encode_publish

LAST_PACKET_ID = 65_535


class Outlet(Protocol):
    """Where a session's bytes go while its client is connected."""

    def send(self, data: bytes) -> None:
        """Take bytes for the client."""

    @property
    def congested(self) -> bool:
        """Whether the client does not take what was sent as fast as it comes."""


class Stage(enum.Enum):
    """What the client is to answer next for a message of QoS 1 or 2."""

    PUBLISHED = enum.auto()
    RELEASED = enum.auto()


@dataclass(slots=True)
class _Flight:
    message: Publish
    stage: Stage = Stage.PUBLISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How many messages are on their way to a client, and how many wait beyond that."""

    window: int
    queue_messages: int
    queue_bytes: int


class Session:
    """One client's session. While it has no outlet, messages of QoS 1 and 2 wait if it is persistent."""

    def __init__(self, client_id: str, *, clean: bool, limits: SessionLimits) -> None:
        self.client_id = client_id
        self.clean = clean
        self.outlet: Outlet | None = None
        self.subscriptions: dict[str, int] = {}
        self.received: set[int] = set()
        """Packet identifiers of QoS 2 messages that came and are not released yet."""
        self.dropped = 0
        self._limits = limits
        self._flights: dict[int, _Flight] = {}
        self._waiting: deque[Publish] = deque()
        self._waiting_bytes = 0
        self._last_id = 0

    def deliver(self, message: Publish) -> None:
        """Send a message to the client with the QoS it has, or let it wait, or drop and count it."""
        outlet = self.outlet
        if message.qos == 0:
            if outlet is None or outlet.congested:
                self.dropped += outlet is not None
            else:
                outlet.send(encode_publish(message))
        elif outlet is not None and not self._waiting and self._has_room(outlet):
            self._fly(message, outlet)
        elif (
            len(self._waiting) < self._limits.queue_messages
            and self._waiting_bytes + len(message.payload) <= self._limits.queue_bytes
        ):
            self._waiting.append(message)
            self._waiting_bytes += len(message.payload)
        else:
            self.dropped += 1

    def acknowledged(self, kind: int, packet_id: int) -> None:
        """Hear a PUBACK, PUBREC or PUBCOMP; what was not on its way is answered and otherwise ignored."""
        flight = self._flights.get(packet_id)
        match kind:
            case _ if kind == PUBREC:
                if flight is not None and flight.message.qos == 2:
                    flight.stage = Stage.RELEASED
                self._send(encode_ack(PUBREL, packet_id))
            case _ if flight is None:
                return
            case _ if (kind == PUBACK and flight.message.qos == 1) or (
                kind == PUBCOMP and flight.stage is Stage.RELEASED
            ):
                del self._flights[packet_id]
                self.proceed()

    def resume(self, outlet: Outlet) -> None:
        """Go on with a client that has connected: what it has not acknowledged first, in order."""
        self.outlet = outlet
        for packet_id, flight in self._flights.items():
            if flight.stage is Stage.RELEASED:
                outlet.send(encode_ack(PUBREL, packet_id))
            else:
                outlet.send(encode_publish(replace(flight.message, dup=True)))
        self.proceed()

    def proceed(self) -> None:
        """Send what waits, as far as the window and the client allow."""
        while self._waiting and self.outlet is not None and self._has_room(self.outlet):
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message.payload)
            self._fly(message, self.outlet)

    @property
    def waiting(self) -> int:
        """How many messages have not been sent, or not been acknowledged."""
        return len(self._waiting) + len(self._flights)

    def _has_room(self, outlet: Outlet) -> bool:
        return len(self._flights) < self._limits.window and not outlet.congested

    def _fly(self, message: Publish, outlet: Outlet) -> None:
        packet_id = next(self._free_ids())
        sent = replace(message, packet_id=packet_id)
        self._flights[packet_id] = _Flight(sent)
        outlet.send(encode_publish(sent))

    def _free_ids(self) -> Iterator[int]:
        # The window is far smaller than the identifiers there are, so that one is always free.
        while True:
            self._last_id = self._last_id % LAST_PACKET_ID + 1
            if self._last_id not in self._flights:
                yield self._last_id

    def _send(self, data: bytes) -> None:
        if self.outlet is not None:
            self.outlet.send(data)
