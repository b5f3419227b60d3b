"""What a node sends: outcomes and progress, to devices and to the nodes that handed tasks over."""

import asyncio
import itertools
import time
from collections import deque
from functools import partial
from typing import NoReturn, Protocol

import structlog

from broker.contract.engine import Engine
from broker.contract.message import Message
from broker.errors import EngineUnavailable, PublishRefused
from fog_node.jobs.refusal import Sender
from fog_node.replies.outcomes import again, outcome_message

log = structlog.get_logger()

RETRY_PAUSE = 0.5
"""Seconds before messages that the broker could not take are offered again."""


class Onward(Protocol):
    """Where an outcome may lead to further tasks."""

    def follow(self, sender: Sender, message: Message) -> Message:
        """Hear an outcome; return it as it is to be published."""


class Replies:
    """Publishes at once, and later, in order, what the broker could not take.

    Until `run` runs, which is when the broker has been started, nobody expects it to take anything.
    What waits has no bound of its own: it is the outcomes of jobs, whose number is bounded.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.onward: Onward | None = None
        # Each with the moment from which on it was to be sent.
        self._waiting: deque[tuple[float, Message]] = deque()
        self._unacknowledged: dict[asyncio.Future[None], float] = {}
        self._delayed = asyncio.Event()
        self._runs = False

    @property
    def unsent_since(self) -> float | None:
        """From when on the broker may not have what was sent, by the monotonic clock; None if it has all."""
        waiting = (at for at, _ in self._waiting)
        return min(itertools.chain(waiting, self._unacknowledged.values()), default=None)

    def tell_again(self, sender: Sender, outcome: bytes) -> None:
        """Publish an outcome to who asks for it again.

        A value alone could not say that it is told again, so it is not: a switch would be turned twice.
        """
        message = self._followed(sender, again(sender, outcome))
        if sender.answer is None or not sender.answer.value:
            self.send(message)

    def tell(self, sender: Sender, outcome: bytes) -> None:
        """Publish an encoded outcome, to whoever submitted or where a rule has it told."""
        self.send(self._followed(sender, outcome))

    def send(self, message: Message) -> None:
        """Publish a message; one with QoS 0 is dropped when the broker is away."""
        now = time.monotonic()
        if message.qos and self._waiting:
            self._waiting.append((now, message))
            return
        try:
            self._publish(message, now)
        except EngineUnavailable as fault:
            if message.qos:
                if self._runs:
                    log.warning("replies_delayed", reason=str(fault), next_try_s=RETRY_PAUSE)
                self._waiting.append((now, message))
                self._delayed.set()

    async def run(self) -> NoReturn:
        """Offer again what could not be taken, until cancelled."""
        self._runs = True
        self._offer_again()
        while True:
            await self._delayed.wait()
            await asyncio.sleep(RETRY_PAUSE)
            self._offer_again()
            if not self._waiting:
                self._delayed.clear()

    async def drain(self) -> None:
        """Return once the broker has acknowledged everything sent so far."""
        while self._waiting or self._unacknowledged:
            if self._unacknowledged:
                await asyncio.wait(self._unacknowledged)
            else:
                await asyncio.sleep(RETRY_PAUSE)

    def _followed(self, sender: Sender, outcome: bytes) -> Message:
        """An outcome as it is published, once those have heard it who go on from it."""
        message = outcome_message(sender, outcome)
        return message if self.onward is None else self.onward.follow(sender, message)

    def _offer_again(self) -> None:
        try:
            while self._waiting:
                at, message = self._waiting[0]
                self._publish(message, at)
                self._waiting.popleft()
        except EngineUnavailable as fault:
            log.warning("replies_delayed", waiting=len(self._waiting), reason=str(fault))

    def _publish(self, message: Message, at: float) -> None:
        taken = self._engine.publish(message)
        if taken is not None:
            self._unacknowledged[taken] = at
            taken.add_done_callback(partial(self._taken, message))

    def _taken(self, message: Message, taken: asyncio.Future[None]) -> None:
        at = self._unacknowledged.pop(taken)
        fault = None if taken.cancelled() else taken.exception()
        if isinstance(fault, PublishRefused):
            # It would be refused for ever, and all that comes after it would wait.
            log.error("reply_refused", topic=message.topic, reason=str(fault))
            return
        if fault is None or not message.qos:
            return
        self._waiting.append((at, message))
        self._delayed.set()
