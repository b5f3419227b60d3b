"""Why a submission does not become a job, and who is to be told."""

import msgspec

from broker.contract.message import UserProperties
from broker.contract.messages import ErrorCode, Outcome, TaskError
from broker.contract.refusal import Refusal
from broker.errors import WeighbridgeError
from fog_node.jobs.answer import Answer
from fog_node.jobs.job import Job
from fog_node.jobs.reasons import refusal

REFUSALS = frozenset(
    (
        ErrorCode.UNKNOWN_TASK,
        ErrorCode.TOO_LARGE,
        ErrorCode.FORBIDDEN,
        ErrorCode.RATE_LIMITED,
        ErrorCode.OVERLOADED,
        ErrorCode.UNROUTABLE,
    )
)
"""What a node says of itself rather than of the job: it lacks the task, the room or the workers."""


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who a task is from and where its outcome goes, and what comes back with it.

    `origin` is the node that handed it over, if any. `answer` says how a rule has its outcome told.
    `fingerprint` is the job's, if it became one.
    """

    device: str
    id: str
    reply: str
    origin: str = ""
    correlation: bytes | None = None
    user_properties: UserProperties = ()
    answer: Answer | None = None
    fingerprint: bytes = b""

    def topic(self, *, ok: bool) -> str:
        """Where a good or a bad outcome goes."""
        return (self.answer and self.answer.topic(ok=ok)) or self.reply

    @property
    def owner(self) -> str:
        """In whose account the submission stands: the device's, or the other node's."""
        return self.origin or self.device


class Refused(WeighbridgeError):
    """Raised when a submission cannot become a job; holds what the sender is to be told, and where."""

    def __init__(self, code: ErrorCode, message: str, *, sender: Sender, task: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.sender = sender
        self.task = task


def sender_of(job: Job) -> Sender:
    """Who a job is from, and where its outcome goes."""
    return Sender(
        device=job.device,
        id=job.id,
        reply=job.reply,
        origin=job.origin,
        correlation=job.correlation,
        user_properties=job.user_properties,
        answer=job.answer,
        fingerprint=job.fingerprint,
    )


def refused(job: Job, code: ErrorCode, message: str) -> Refused:
    """The refusal of what was read as a job but is not taken on."""
    return Refused(code, message, sender=sender_of(job), task=job.task)


def told_at_once(refused: Refused) -> Refusal | None:
    """What the acknowledgement of a submission tells of its refusal.

    A device may hear it there: whoever may submit in a device's name may read its outcomes. Another node
    hears it by a report alone: its link would send again what is not acknowledged well.
    """
    return None if refused.sender.origin else refusal(refused.code, str(refused))


def refused_there(outcome: Outcome) -> bool:
    """Whether the other node did not take the job on, for reasons of its own: another node may."""
    return isinstance(outcome.error, TaskError) and outcome.error.code in REFUSALS
