"""The rules of asking another node: what is asked, what shares an answer, what is given up.

No I/O, no clock.
"""

import itertools
from dataclasses import dataclass

from broker.contract.topics import Weight
from fog_node.placement.answers import LONGEST_WAIT, Answer

LIFETIME = 1.0
"""Seconds for which an answer still tells something of the round trip."""

MAX_OPEN = 256
"""Questions to one node that have no answer; what is more is not asked."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question to another node; its answer comes under the same `key`.

    The answer contains the jobs that were handed over before `known_until`; later ones had not arrived.
    """

    key: str
    weight: Weight
    task: str
    asked: float
    known_until: float


class OpenQuestions:
    """The questions to one node that have no answer yet.

    `life` is part of every key: an answer to an earlier life of this node is known by it, and ignored. The
    same question is not asked twice at once: a burst of tasks shares its answer.
    """

    def __init__(self, life: str) -> None:
        self._life = life
        self._numbers = itertools.count()
        self._open: dict[str, Question] = {}
        self._latest: dict[tuple[Weight, str], Question] = {}

    def shared(self, weight: Weight, task: str, now: float) -> Question | None:
        """The question under way whose answer serves this one too."""
        latest = self._latest.get((weight, task))
        return latest if latest is not None and now - latest.asked < LONGEST_WAIT else None

    def new(self, weight: Weight, task: str, now: float, *, known_until: float) -> Question | None:
        """A question to be asked now; None while too many are open."""
        if len(self._open) >= MAX_OPEN:
            return None
        key = f"{self._life}-{next(self._numbers)}"
        question = Question(key, weight, task, now, known_until)
        self._open[key] = self._latest[weight, task] = question
        return question

    def answered(self, key: str, wait: float, now: float) -> Answer | None:
        """Close a question with its answer; None for one that is not open any more."""
        question = self._open.get(key)
        if question is None:
            return None
        self.close(question)
        return Answer(
            weight=question.weight,
            task=question.task,
            wait=wait,
            asked=question.asked,
            known_until=question.known_until,
            round_trip=now - question.asked,
        )

    def close(self, question: Question) -> None:
        """Wait for its answer no more."""
        self._open.pop(question.key, None)
        if self._latest.get((question.weight, question.task)) is question:
            del self._latest[question.weight, question.task]

    def overdue(self, now: float) -> list[Question]:
        """The open questions that are too old for an answer to tell anything."""
        # In the order in which they were asked, so the first young one ends the search.
        return list(itertools.takewhile(lambda one: now - one.asked >= LIFETIME, self._open.values()))
