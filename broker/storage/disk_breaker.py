"""Decides whether the event loop waits for the disk itself or has a thread wait. No I/O, no clock."""

import math

FORGIVING = 1_000
"""Quick waits in a row after which the spell is halved."""


class DiskBreaker:
    """Keeps a slow disk from stopping the event loop.

    While the disk is quick, waiting for it costs less than handing the wait to a thread. After a wait of more
    than `limit` seconds, threads wait for one spell. A spell lasts for the first of `spells` seconds, and
    twice as long after each further slow wait, up to the second of them. A thousand quick waits in a row
    halve it. Without the doubling, a disk that is always slow would stop the loop once a second.
    """

    def __init__(self, limit: float, spells: tuple[float, float]) -> None:
        self._limit = limit
        self._first, self._longest = spells
        self._spell = self._first
        self._until = -math.inf
        self._quick = 0

    def may_wait(self, now: float) -> bool:
        """Whether the loop may wait for the disk now."""
        return now >= self._until

    def waited(self, seconds: float, now: float) -> None:
        """Note for how long the loop has waited, until now."""
        if seconds <= self._limit:
            self._quick += 1
            if self._quick >= FORGIVING:
                self._quick, self._spell = 0, max(self._first, self._spell / 2)
            return
        self._quick = 0
        self._until = now + self._spell
        self._spell = min(self._longest, 2 * self._spell)
