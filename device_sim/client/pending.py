"""A task that was sent: its progress, and its outcome."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from broker.contract.messages import Outcome, Progress
from broker.contract.topics import TaskTopic
from device_sim.client.payloads import LEAST_DEADLINE, encode, value_of
from device_sim.errors import DeviceError, NoAnswer

MOST_EXPIRY = 0xFFFF_FFFF
"""Seconds for which MQTT can say that a message is of use."""

MAX_STEPS = 1000
"""Steps that are kept until `progress` is read; beyond it the oldest are dropped, to bound the memory."""


class Pending:
    """One task on its way, made by `Device.send`. Its outcome may be awaited by several, and repeatedly."""

    def __init__(
        self, topic: TaskTopic, payload: Any, *, deadline: float | None, watched: bool, born: float
    ) -> None:
        assert topic.id is not None
        self.id = topic.id
        self.topic = topic
        self._payload = payload
        self._encoded = encode(payload, deadline=deadline)
        self._deadline = deadline
        self._watched = watched
        self._born = born
        self._ended: asyncio.Future[Outcome | DeviceError] = asyncio.get_running_loop().create_future()
        self._steps: deque[Progress] = deque(maxlen=MAX_STEPS)
        self._changed = asyncio.Event()

    @property
    def done(self) -> bool:
        """Whether the task has ended, or the device was closed before it did."""
        return self._ended.done()

    async def outcome(self, *, timeout: float | None = 60.0) -> Outcome:
        """Wait for the outcome. Raises NoAnswer after `timeout` seconds (None: never).

        After NoAnswer the task is still on its way, and the call may be repeated. Raises DeviceClosed if the
        device was closed before, UnreadableAnswer if what the node sent is not an outcome, NodeUnreachable if
        the broker did not take the task for a reason that no outcome has.
        """
        try:
            async with asyncio.timeout(timeout):
                # Shielded: this timeout must not cancel it for the others who wait.
                ended = await asyncio.shield(self._ended)
        except TimeoutError as fault:
            raise NoAnswer(
                f"no answer to {self.topic.task} {self.id} in {timeout:g} s", id=self.id
            ) from fault
        if isinstance(ended, DeviceError):
            raise ended
        return ended

    async def value(self, *, timeout: float | None = 60.0) -> Any:
        """Wait for the task's value. Raises a TaskFailed for an error, or as `outcome`."""
        return value_of(await self.outcome(timeout=timeout))

    async def progress(self) -> AsyncIterator[Progress]:
        """Give each step since the task was sent, and end with the outcome. For one reader.

        Raises ValueError for a task sent without `progress=True`: its steps were not received.
        """
        if not self._watched:
            raise ValueError(f"send the task with progress=True to watch it: {self.id}")
        while self._steps or not self.done:
            while self._steps:
                yield self._steps.popleft()
            if not self.done:
                self._changed.clear()
                await self._changed.wait()

    def submission(self, now: float) -> tuple[str, bytes, int | None]:
        """The topic and the payload to send at `now`, with what is left of the deadline.

        What comes third is for MQTT 5: seconds after which no broker need keep it for a node that is away.
        """
        if self._deadline is None:
            return str(self.topic), self._encoded, None
        remaining = max(LEAST_DEADLINE, self._deadline - (now - self._born))
        # Later than the deadline, so that the node is asked, and says itself that the task came too late.
        expiry = min(MOST_EXPIRY, math.ceil(remaining) + 1)
        return str(self.topic), encode(self._payload, deadline=remaining), expiry

    def add(self, step: Progress) -> None:
        """Note a step. Only the device calls this and `end`."""
        self._steps.append(step)
        self._changed.set()

    def end(self, outcome: Outcome | DeviceError) -> None:
        """Note the outcome, or why there will be none; a second call does nothing."""
        if not self._ended.done():
            self._ended.set_result(outcome)
            self._changed.set()
