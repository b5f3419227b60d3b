"""Tells which ended jobs are certainly not in the journal, so that it is not searched for every task."""

import math

Identity = tuple[str, str, str, bytes]

BITS = 1 << 24
"""Of one generation: 2 MiB. A million jobs in it have one new task in seventeen searched for in vain."""


class _Generation:
    """What was added within some time; `latest` is when the last of it ended."""

    __slots__ = ("_bits", "latest")

    def __init__(self, latest: float = -math.inf, *, full: bool = False) -> None:
        self.latest = latest
        self._bits = bytearray(b"\xff" * (BITS >> 3) if full else BITS >> 3)

    def add(self, place: int, ended_at: float) -> None:
        self.latest = max(self.latest, ended_at)
        self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, place: int) -> bool:
        return bool(self._bits[place >> 3] >> (place & 7) & 1)


class RecentlyEnded:
    """A bitmap of the identities that ended jobs had: what is not in it has not ended here.

    Two generations take turns, one for each time that is remembered: beyond some million jobs within it most
    new ones are searched for again, as without it. `unknown_until` is when the last of those
    jobs ended that are in the journal already: until they are forgotten, every identity may be there.
    """

    def __init__(self, *, unknown_until: float | None = None) -> None:
        known = unknown_until is None
        self._old = _Generation(-math.inf if unknown_until is None else unknown_until, full=not known)
        self._young = _Generation()

    def add(self, identity: Identity, ended_at: float) -> None:
        """Note that a job ended, in seconds of running time."""
        self._young.add(hash(identity) % BITS, ended_at)

    def may_hold(self, identity: Identity) -> bool:
        """Whether a job of that identity may have ended here; False is certain."""
        place = hash(identity) % BITS
        return place in self._young or place in self._old

    def forget(self, before: float) -> None:
        """Note that jobs which ended before this running time need not be found any more."""
        if self._old.latest < before:
            self._old, self._young = self._young, _Generation()
