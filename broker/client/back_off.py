"""How long to wait before connecting again."""

import random


class BackOff:
    """Growing pauses in seconds, never above `cap`, each drawn between `base` and three times the last one.

    Chance keeps those who lost one broker together from returning together ("decorrelated jitter": Brooker,
    "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
    """

    def __init__(self, base: float, cap: float) -> None:
        self._base = base
        self._cap = cap
        self._pause = base

    def next(self) -> float:
        """The next pause."""
        self._pause = min(self._cap, random.uniform(self._base, self._pause * 3))  # noqa: S311
        return self._pause

    def reset(self) -> None:
        """Begin again with short pauses: there was a connection."""
        self._pause = self._base
