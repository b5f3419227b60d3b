"""What a Mosquitto has dropped, as it counts it: it names neither client nor topic. No I/O, no clock."""

import structlog

log = structlog.get_logger()

DROPPED = "$SYS/broker/publish/messages/dropped"
"""Where Mosquitto says every ten seconds how many messages found no room, since it has started."""

TOLD_FOR = 3600.0
"""Seconds for which a loss stands in the node's trouble: nobody says when the client has caught up."""

_AGAIN = "a client gets an outcome if it submits the same task under the same id again"


class Drops:
    """Counts what was dropped over the lives of a Mosquitto."""

    def __init__(self) -> None:
        self._said = 0
        self._lost = 0
        self._latest = 0.0

    def hear(self, payload: bytes, now: float) -> None:
        """Take in what Mosquitto has said under DROPPED."""
        if not payload.isdigit():
            return
        said = int(payload)
        # It counts from 0 in each of its lives.
        more = said - self._said if said >= self._said else said
        self._said = said
        if more:
            self._lost += more
            self._latest = now
            log.warning("messages_dropped", messages=more, reason="queues of clients are full")

    def trouble(self, now: float) -> list[str]:
        """What is wrong, in words."""
        if not self._lost or now - self._latest > TOLD_FOR:
            return []
        return [f"Mosquitto has dropped {self._lost} messages for clients that are away or slow; {_AGAIN}"]
