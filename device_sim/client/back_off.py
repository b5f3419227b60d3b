"""How long to wait before connecting again."""

import random


class BackOff:
    """Growing pauses with decorrelated jitter, in seconds, never above `cap`.

    The jitter keeps a fleet that lost one node together from returning together.
    """

    def __init__(self, base: float, cap: float) -> None:
        self._base = base
        self._cap = cap
        self._pause = base

    def next(self) -> float:
        """The next pause."""
        self._pause = min(self._cap, random.uniform(self._base, self._pause * 3))  # noqa: S311
        return self._pause
