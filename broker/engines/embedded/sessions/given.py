"""What a session is given: the way to its client, and what it shares with all others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from broker.engines.embedded.counters import Counters
from broker.engines.embedded.sessions.overflow import Overflow
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.sessions.waiting import QueueLimits


class Outlet(Protocol):
    """Where a session's bytes go while its client is connected."""

    def send(self, data: bytes) -> None:
        """Take a packet for the client."""

    @property
    def congested(self) -> bool:
        """Whether the client does not take what was sent as fast as it comes."""

    def give_way(self, *, continued: bool) -> None:
        """Close: another connection has come for the client, and goes on with the session if `continued`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDefaults:
    """What all sessions share. `replay` is how many retained messages may wait beyond the limits.

    `overflow` has what the node says beyond the limits.
    """

    counters: Counters
    store: SessionStore
    overflow: Overflow
    clock: Callable[[], float]
    limits: QueueLimits
    window: int
    replay: int
