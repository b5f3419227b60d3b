"""Asks another node how long a task would wait there at this moment, and waits for its answer."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence

from broker.contract.messages import decode_wait
from broker.contract.topics import MeshAskTopic, MeshWaitTopic, Weight
from broker.links.link import Link
from fog_node.mesh.open_questions import OpenQuestions
from fog_node.placement.answers import Figures


class Questions:
    """The questions to one node. `figures` is told of each answer.

    A question overtakes the jobs that wait to be handed over; `known_until` tells from when on they do.
    """

    def __init__(
        self,
        address: str,
        link: Link,
        *,
        node: str,
        figures: Figures,
        known_until: Callable[[float], float] = lambda now: now,
    ) -> None:
        self._address = address
        self._link = link
        self._node = node
        self._figures = figures
        self._known_until = known_until
        self._open = OpenQuestions(secrets.token_hex(4))
        self._answered: dict[str, asyncio.Future[None]] = {}

    def ask(self, weight: Weight, task: str) -> asyncio.Future[None] | None:
        """Ask now; the future is done with the answer, if one comes. None if it cannot be asked."""
        now = time.monotonic()
        for late in self._open.overdue(now):
            self._open.close(late)
            self._answered.pop(late.key).cancel()
        shared = self._open.shared(weight, task, now)
        if shared is not None:
            return self._answered[shared.key]
        question = self._open.new(weight, task, now, known_until=self._known_until(now))
        if question is None:
            return None
        if not self._link.ask(str(MeshAskTopic(self._address, weight, task, self._node, question.key))):
            self._open.close(question)
            return None
        answered = self._answered[question.key] = asyncio.get_running_loop().create_future()
        return answered

    def receive(self, topic: MeshWaitTopic, payload: bytes) -> None:
        """Take in an answer. Raises BadPayload."""
        wait = decode_wait(payload).wait_ms / 1e3
        answer = self._open.answered(topic.key, wait, time.monotonic())
        if answer is None:
            return
        self._figures.answered(answer)
        answered = self._answered.pop(topic.key)
        if not answered.done():
            answered.set_result(None)


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
