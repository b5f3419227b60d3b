"""Tells whether the event loop may wait for the disk by itself. No I/O, no clock."""

import math

FORGIVING = 1_000
"""Waits that were quick, one after the other, after which an earlier slow one counts half."""


class DiskBreaker:
    """While the disk is quick, waiting for it costs less than having a thread wait.

    A wait of more than `limit` seconds is too long for the loop: for the first of `spells` seconds it waits
    no more. With each wait that is too long the spell doubles, up to the second of them; a thousand that are
    not halve it, so that a disk which only sometimes stalls does not stall the loop each second.
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
