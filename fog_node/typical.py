"""How long tasks usually take."""

from collections.abc import Mapping


class TypicalTimes:
    """A running average of each task's execution time, in milliseconds."""

    _LATEST = 0.2

    def __init__(self) -> None:
        self._average: dict[str, float] = {}

    def observe(self, task: str, ran_ms: float) -> None:
        """Learn from one execution."""
        before = self._average.get(task, ran_ms)
        self._average[task] = before + self._LATEST * (ran_ms - before)

    def rounded(self) -> Mapping[str, float]:
        """The averages, rounded to two significant digits so that they hold still."""
        return {task: float(f"{average:.2g}") for task, average in self._average.items()}
