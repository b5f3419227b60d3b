"""What another node was asked and has not answered: how long a task would wait there at this moment."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker.contract.messages import decode_wait
from broker.contract.topics import MeshAskTopic, MeshWaitTopic, Weight
from broker.links.link import Link
from fog_node.placement.answers import LONGEST_PATIENCE, Answer

LIFETIME = 1.0
"""Seconds for which an answer still tells something of the round trip."""

MAX_OPEN = 256
"""Questions to one node that have no answer; what is more is not asked."""

OnAnswer = Callable[[Answer], None]


@dataclass(slots=True)
class _Question:
    weight: Weight
    task: str
    asked: float
    known_until: float
    answered: asyncio.Future[None]


class Questions:
    """The questions to one node that are open; `on_answer` is told of each answer.

    The same question is not asked twice at once: a burst of tasks shares its answer. A question overtakes
    the tasks that wait to be handed over; `known_until` tells from when on they do.
    """

    def __init__(
        self,
        address: str,
        link: Link,
        *,
        node: str,
        known_until: Callable[[float], float] = lambda now: now,
    ) -> None:
        self._address = address
        self._link = link
        self._node = node
        self._known_until = known_until
        # Late answers to an earlier life of this node must not match.
        self._life = secrets.token_hex(4)
        self._numbers = itertools.count()
        self._open: dict[str, _Question] = {}
        self._latest: dict[tuple[Weight, str], _Question] = {}
        self.on_answer: OnAnswer = lambda _: None

    def ask(self, weight: Weight, task: str) -> asyncio.Future[None] | None:
        """Ask now; the future is done with the answer, if one comes. None if it cannot be asked."""
        now = time.monotonic()
        self._forget(now)
        latest = self._latest.get((weight, task))
        if latest is not None and now - latest.asked < LONGEST_PATIENCE:
            return latest.answered
        if len(self._open) >= MAX_OPEN:
            return None
        key = f"{self._life}-{next(self._numbers)}"
        if not self._link.ask(str(MeshAskTopic(self._address, weight, task, self._node, key))):
            return None
        question = _Question(
            weight, task, now, self._known_until(now), asyncio.get_running_loop().create_future()
        )
        self._open[key] = self._latest[weight, task] = question
        return question.answered

    def receive(self, topic: MeshWaitTopic, payload: bytes) -> None:
        """Take in an answer. Raises BadPayload."""
        wait = decode_wait(payload).wait_ms / 1e3
        question = self._open.pop(topic.key, None)
        if question is None:
            return
        self._close(question)
        answer = Answer(
            weight=question.weight,
            task=question.task,
            wait=wait,
            asked=question.asked,
            known_until=question.known_until,
            round_trip=time.monotonic() - question.asked,
        )
        self.on_answer(answer)
        if not question.answered.done():
            question.answered.set_result(None)

    def _forget(self, now: float) -> None:
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if now - oldest.asked < LIFETIME:
                return
            del self._open[key]
            self._close(oldest)
            oldest.answered.cancel()

    def _close(self, question: _Question) -> None:
        if self._latest.get((question.weight, question.task)) is question:
            del self._latest[question.weight, question.task]


def all_or_late(answers: Sequence[asyncio.Future[None]], seconds: float) -> asyncio.Future[None]:
    """A future that is done when all of `answers` are, or `seconds` later."""
    loop = asyncio.get_running_loop()
    whole: asyncio.Future[None] = loop.create_future()
    left = len(answers)

    def finish() -> None:
        if not whole.done():
            whole.set_result(None)

    def answered(_: asyncio.Future[None]) -> None:
        nonlocal left
        left -= 1
        if not left:
            timer.cancel()
            finish()

    timer = loop.call_later(seconds, finish)
    for one in answers:
        one.add_done_callback(answered)
    return whole
