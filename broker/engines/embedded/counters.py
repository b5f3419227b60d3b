"""What the broker has done since it started."""

import dataclasses
from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counts that only grow. A `dropped_…` is a message that a subscriber or the node did not get.

    `dropped_full`: its queue was full. `dropped_slow`: of QoS 0, and the client's socket was full.
    `dropped_old`: it waited for longer than it may. `dropped_session`: its session ended before.
    `dropped_large`: it was larger than what the client takes.
    `dropped_retained`: not kept, since there is no room. `dropped_paused`: of QoS 0, or a will, while
    the broker takes nothing in. `dropped_denied`: the publisher may not publish there.
    """

    packets_received: int = 0
    packets_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    publishes_received: int = 0
    publishes_sent: int = 0
    publish_bytes_received: int = 0
    publish_bytes_sent: int = 0
    connections: int = 0
    connects: int = 0
    connections_refused: int = 0
    logins_refused: int = 0
    subscriptions_denied: int = 0
    handshakes_failed: int = 0
    protocol_errors: int = 0
    silent_closed: int = 0
    clients_maximum: int = 0
    sessions_expired: int = 0
    dropped_full: int = 0
    dropped_slow: int = 0
    dropped_old: int = 0
    dropped_large: int = 0
    dropped_session: int = 0
    dropped_retained: int = 0
    dropped_paused: int = 0
    dropped_denied: int = 0

    @property
    def dropped(self) -> int:
        """All that was dropped, for whatever reason."""
        return sum(self.drops().values())

    def drops(self) -> dict[str, int]:
        """What was dropped, by reason."""
        names = (field.name for field in dataclasses.fields(self))
        return {
            name.removeprefix("dropped_"): getattr(self, name)
            for name in names
            if name.startswith("dropped_")
        }
