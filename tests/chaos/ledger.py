"""The ledger kept outside the system: what was acknowledged, answered and executed. No I/O."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from broker.contract.messages import Outcome, TaskError
from tests.chaos.schedule import Fault

AFTERMATH = 3.0
"""Seconds after a fault in which an execution is still its consequence."""

Answer = tuple[bool, bytes | str]
"""What two outcomes of one task must have in common: the value, or the error's code."""


def answer_of(outcome: Outcome) -> Answer:
    """What matters of an outcome."""
    if isinstance(outcome.error, TaskError):
        return False, outcome.error.code
    return True, bytes(outcome.value)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that happened: from when until when, and how many tasks had no answer then."""

    fault: Fault
    at: float
    until: float
    open: int


@dataclass(slots=True)
class Ledger:
    """Everything that was seen from outside. Times are seconds of one clock, the tasks' own."""

    submitted: dict[str, float] = field(default_factory=dict)
    acknowledged: dict[str, float] = field(default_factory=dict)
    answers: dict[str, list[tuple[float, Answer]]] = field(default_factory=lambda: defaultdict(list))
    told: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each answer came that was not marked as one that is told, or delivered, again."""
    struck: list[Struck] = field(default_factory=list)
    forgotten_by: Collection[Fault] = ()
    """Faults after which the devices' broker does not know any more what it has delivered."""

    @property
    def unanswered(self) -> set[str]:
        """The tasks without an answer yet."""
        return set(self.submitted) - set(self.answers)

    def lost(self) -> set[str]:
        """The tasks that were acknowledged and never answered: there must be none."""
        return set(self.acknowledged) - set(self.answers)

    def contradictory(self) -> set[str]:
        """The tasks that were answered in different ways: there must be none."""
        return {name for name, seen in self.answers.items() if len({answer for _, answer in seen}) > 1}

    def unsuccessful(self) -> dict[str, Answer]:
        """The tasks that were answered with an error: none of them had a reason to fail."""
        return {name: seen[0][1] for name, seen in self.answers.items() if not seen[0][1][0]}

    def answered_twice(self) -> set[str]:
        """The tasks that were told twice as if for the first time, and not by a broker that had forgotten."""
        again = self._more_than_once(self.told)
        return {name for name, faults in again.items() if not set(faults) & set(self.forgotten_by)}

    def executed_again(self, executions: Mapping[str, list[float]]) -> dict[str, list[Fault]]:
        """The tasks that ran more than once, and the faults between their first and last execution.

        A fault goes on having effects for a while: what a worker had taken from a Redis that died it still
        runs, and so does whoever it is given to anew.
        """
        return self._more_than_once(executions)

    def _more_than_once(self, seen: Mapping[str, list[float]]) -> dict[str, list[Fault]]:
        return {
            name: [
                one.fault for one in self.struck if times[0] <= one.until + AFTERMATH and one.at <= times[-1]
            ]
            for name, times in ((name, sorted(times)) for name, times in seen.items())
            if len(times) > 1
        }

    def rows(self, executions: Mapping[str, list[float]]) -> list[tuple[str, int, float, float, int]]:
        """For each kind of fault: how often, open tasks, seconds until the next answer, tasks run again."""
        again = Counter(fault for faults in self.executed_again(executions).values() for fault in set(faults))
        answered = sorted(time for seen in self.answers.values() for time, _ in seen)
        rows = []
        for fault in Fault:
            blows = [one for one in self.struck if one.fault is fault]
            if blows:
                waits = [_next(answered, one.at) for one in blows]
                opened = sum(one.open for one in blows) / len(blows)
                rows.append((fault.value, len(blows), opened, sum(waits) / len(waits), again[fault]))
        return rows


def read_executions(lines: Iterable[str]) -> dict[str, list[float]]:
    """When each task was executed, from what the tasks wrote down."""
    executions: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        name, _, at = line.partition(" ")
        executions[name].append(float(at))
    return executions


def _next(times: list[float], after: float) -> float:
    return next((time - after for time in times if time > after), 0.0)
