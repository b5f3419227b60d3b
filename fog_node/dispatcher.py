"""Where messages enter a node: each goes to the part that answers for its kind."""

import asyncio
import time
from collections.abc import Collection

import structlog

from broker.contract.message import Message
from broker.contract.messages import ErrorCode, Wait, encode
from broker.contract.refusal import Taken
from broker.contract.topics import (
    ROOT,
    AnyTopic,
    CancelTopic,
    MeshAskTopic,
    MeshCancelTopic,
    MeshResultTopic,
    MeshTaskTopic,
    MeshWaitTopic,
    TaskTopic,
    is_for_once,
    parse,
)
from broker.errors import BadTopic
from fog_node.intake.acceptance import Acceptance
from fog_node.intake.firings import Firings
from fog_node.intake.submissions import Intake
from fog_node.jobs.job import Job
from fog_node.jobs.open_jobs import OpenJobs
from fog_node.placement.here import Here
from fog_node.replies.replies import Replies
from fog_node.routing.listener import Listener
from fog_node.routing.router import Router

log = structlog.get_logger()


class Dispatcher:
    """Takes in what the engine hands over: orders of the contract, and what rules mean."""

    def __init__(
        self,
        *,
        intake: Intake,
        acceptance: Acceptance,
        firings: Firings,
        jobs: OpenJobs,
        here: Here,
        router: Router,
        listener: Listener[asyncio.Future[None]],
        replies: Replies,
    ) -> None:
        self._intake = intake
        self._acceptance = acceptance
        self._firings = firings
        self._jobs = jobs
        self._here = here
        self._router = router
        self._listener = listener
        self._replies = replies

    def recover(self) -> int:
        """Take on again the jobs that an earlier life of the node left open; return how many there were."""
        return self._acceptance.recover(self._intake.fault_of)

    async def settle(self) -> None:
        """Return once everything that was taken in is acknowledged."""
        await self._acceptance.settle()

    def receive(self, message: Message) -> Taken:
        """Take a message in; what is returned is done when what it changes is durable."""
        if is_for_once(message.topic):
            return self._carry_out(message)
        if self._firings.concerns(message.topic):
            return self._firings.receive(message)
        # Anything else a rule that is gone has wanted, and the broker may not know yet.
        return self._carry_out(message) if message.topic.startswith(f"{ROOT}/") else None

    def _carry_out(self, message: Message) -> Taken:
        topic = _parsed(message.topic)
        match topic:
            case TaskTopic() | None:
                # The intake says what is wrong with a topic, and to whom.
                return self._acceptance.take(self._intake.read_task, message)
            case MeshTaskTopic():
                return self._acceptance.take(self._intake.read_hand_off, message)
            case CancelTopic():
                return self._cancel(self._jobs.named(topic.device, topic.id))
            case MeshCancelTopic():
                job = self._jobs.handed_over(str(MeshResultTopic(topic.origin, topic.key)))
                return self._cancel(() if job is None else (job,))
            case MeshAskTopic():
                self._answer(topic)
            case _:
                log.warning("message_not_for_us", topic=message.topic)
        return None

    def _cancel(self, jobs: Collection[Job]) -> asyncio.Future[None] | None:
        """Cancel all of them; the future is that of the last, which is written with or after the others."""
        durable = None
        for job in jobs:
            if not job.ended:
                self._router.recall(job)
                durable = self._listener.fail(job, ErrorCode.CANCELLED, "it was cancelled", time.monotonic())
        return durable

    def _answer(self, asked: MeshAskTopic) -> None:
        """Tell another node what a task would wait for here."""
        wait = Wait(wait_ms=round(1e3 * self._here.wait_of(asked.weight), 1))
        self._replies.send(Message(topic=str(MeshWaitTopic(asked.origin, asked.key)), payload=encode(wait)))


def _parsed(topic: str) -> AnyTopic | None:
    try:
        return parse(topic)
    except BadTopic:
        return None
