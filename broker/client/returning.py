"""When a client connects again, and whether another one goes by its identifier. No clock.

A broker closes a client's connection when another one connects under its identifier. With MQTT 5 it says so.
With 3.1.1 all that can be seen is that connections end soon after they were accepted, again and again.
"""

from broker.client.back_off import BackOff

SOON = 5.0
"""Seconds: a connection that served for less has ended soon. A rival is back within a second."""

TIMES = 3
"""Connections in a row that ended soon, after which a rival is suspected."""


class Returning:
    """How the connections of one client have ended, and how long it waits for the next."""

    def __init__(self, back_off: BackOff) -> None:
        self._back_off = back_off
        self._since: float | None = None
        self._ended_soon = 0

    def up(self, now: float) -> None:
        """Note that a connection serves."""
        self._since = now

    def ended(self, now: float, *, taken_over: bool) -> bool:
        """Note that a connection has ended; tell whether there seems to be a rival.

        The count of those that ended soon begins anew once it has told so.
        """
        since, self._since = self._since, None
        if since is not None:
            self._ended_soon = self._ended_soon + 1 if now - since < SOON else 0
            # Only after a while: to come back at once to whoever ends connections soon is to knock for ever.
            if not self._ended_soon:
                self._back_off.reset()
        rival = taken_over or self._ended_soon >= TIMES
        if rival:
            self._ended_soon = 0
        return rival

    def pause(self) -> float:
        """Seconds until the next attempt."""
        return self._back_off.next()
