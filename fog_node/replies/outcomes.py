"""Builds what a node sends back: outcomes, refusals and progress, as messages. No I/O, no clock."""

from typing import Any

import msgspec

from broker.contract.message import Message
from broker.contract.messages import (
    JSON,
    NO_TIME,
    ErrorCode,
    Outcome,
    Progress,
    Report,
    Stage,
    TaskError,
    decode_outcome,
    encode,
)
from broker.contract.topics import ProgressTopic, Weight
from fog_node.jobs.answer import Answer
from fog_node.jobs.job import Job
from fog_node.jobs.refusal import Refused, Sender

SMALL_PACKET = 256
"""Bytes of a packet that small clients take, as PubSubClient does unless told otherwise: they drop longer
ones without a word. An error fits, unless its names are long; a sentence that was cut is in the log."""

HEADER = 7
"""Bytes of a PUBLISH with QoS 1 beside topic and payload."""

SHORTEST = 12
"""Characters of a sentence that are left in any case."""

_LESS: tuple[dict[str, Any], ...] = (
    {"why": msgspec.UNSET, "predicted_ms": msgspec.UNSET},
    {"waited_ms": NO_TIME, "ran_ms": NO_TIME},
    {"total_ms": NO_TIME},
)
"""What an error goes without to fit, in this order, before its sentence is cut."""


def local_outcome(
    job: Job,
    *,
    node: str,
    now: float,
    ran_ms: float = 0.0,
    value: bytes | None = None,
    error: TaskError | None = None,
) -> Outcome:
    """The outcome of a job that ended at this node: a value in JSON, or an error."""
    total_ms = age_ms(job, now)
    # Light tasks run where they arrive, and a node that handed one over tells its own reasons.
    chosen = bool(job.why) and job.weight is not Weight.LIGHT and not job.origin
    return Outcome(
        ok=error is None,
        value=msgspec.UNSET if value is None else msgspec.Raw(value),
        error=msgspec.UNSET if error is None else error,
        id=job.id,
        task=job.task,
        node=node,
        route=(node,),
        waited_ms=_rounded(total_ms - ran_ms),
        ran_ms=_rounded(ran_ms),
        total_ms=total_ms,
        why=job.why if chosen else msgspec.UNSET,
        predicted_ms=_predicted_ms(job) if chosen else msgspec.UNSET,
    )


def returned_outcome(job: Job, theirs: Outcome, *, node: str, now: float) -> Outcome:
    """The outcome of a job that another node ran, as this node passes it on."""
    total_ms = age_ms(job, now)
    return msgspec.structs.replace(
        theirs,
        id=job.id,
        task=job.task,
        route=(*theirs.route, node),
        waited_ms=_rounded(total_ms - theirs.ran_ms),
        total_ms=total_ms,
        why=job.why or msgspec.UNSET,
        predicted_ms=_predicted_ms(job) if job.why else msgspec.UNSET,
    )


def refusal_outcome(refusal: Refused, *, node: str) -> bytes:
    """The encoded outcome of a submission that did not become a job."""
    sender, error = refusal.sender, TaskError(refusal.code, str(refusal))
    outcome = Outcome(ok=False, error=error, id=sender.id, task=refusal.task, node=node, route=(node,))
    return encode_outcome(outcome, sender)


def encode_outcome(outcome: Outcome, sender: Sender, *, wait_ms: float | None = None) -> bytes:
    """Write an outcome as its addressee reads it: a device, or the node that handed the job over."""
    if sender.origin:
        return encode(Report(outcome=outcome, wait_ms=wait_ms))
    return encode(outcome) if outcome.ok else _encode_small(outcome, sender.topic(ok=False))


def _encode_small(outcome: Outcome, topic: str) -> bytes:
    """Write an error so that it fits into SMALL_PACKET, as far as the names in it allow.

    What a task said itself is left as it is: whoever wrote it decides how long it may be.
    """
    room = SMALL_PACKET - HEADER - len(topic.encode())
    encoded, error = encode(outcome), outcome.error
    if len(encoded) <= room or not isinstance(error, TaskError):
        return encoded
    for less in _LESS:
        outcome = msgspec.structs.replace(outcome, **less)
        encoded = encode(outcome)
        if len(encoded) <= room:
            return encoded
    kept = max(SHORTEST, len(error.message) - (len(encoded) - room) - len("…".encode()))
    if error.code is ErrorCode.FAILED or kept >= len(error.message):
        return encoded
    return encode(msgspec.structs.replace(outcome, error=TaskError(error.code, f"{error.message[:kept]}…")))


def again(sender: Sender, outcome: bytes) -> bytes:
    """An encoded outcome as it is sent from memory: a device is told that it is, a node need not know."""
    if sender.origin:
        return outcome
    return encode_outcome(msgspec.structs.replace(decode_outcome(outcome), repeated=True), sender)


def outcome_message(sender: Sender, payload: bytes) -> Message:
    """An encoded outcome on its way to whoever submitted, or to where a rule has it told."""
    message = Message(
        topic=sender.reply,
        payload=payload,
        qos=1,
        correlation=sender.correlation,
        content_type=JSON,
        user_properties=sender.user_properties,
    )
    return message if sender.answer is None else _as_told(message, sender.answer)


def _as_told(message: Message, answer: Answer) -> Message:
    """An outcome as a rule has it told."""
    outcome = decode_outcome(message.payload)
    changes: dict[str, Any] = {}
    topic = answer.topic(ok=outcome.ok)
    if topic is not None:
        retain = answer.retain and topic == answer.result
        changes |= {"topic": topic, "qos": answer.qos, "retain": retain}
    if answer.value and outcome.ok and outcome.value is not msgspec.UNSET:
        changes |= _alone(bytes(outcome.value))
    return msgspec.structs.replace(message, **changes)


def _alone(value: bytes) -> dict[str, Any]:
    """A value without its outcome: text is told as displays and switches read it, `ON` and not `"ON"`."""
    if value.startswith(b'"'):
        return {"payload": msgspec.json.decode(value, type=str).encode(), "content_type": None}
    return {"payload": value}


def progress_message(job: Job, step: Progress) -> Message | None:
    """A step of a job on its way to its device; None where the node that handed it over need not know."""
    if not job.origin:
        topic = str(ProgressTopic(job.device, job.id))
        return Message(topic=topic, payload=encode(step), content_type=JSON)
    # Also that it was accepted: a word of a job renews its lease at the other node.
    if step.stage in {Stage.ACCEPTED, Stage.RUNNING}:
        return Message(topic=job.reply, payload=encode(Report(progress=step)), content_type=JSON)
    return None


def unroutable(job: Job) -> str:
    """Why a job has no place to run."""
    return f"no workers for {job.weight} tasks here, and no cloud"


def _rounded(milliseconds: float) -> float:
    return round(max(0.0, milliseconds), 3) or NO_TIME


def _predicted_ms(job: Job) -> float:
    return round(1e3 * job.predicted, 1)


def age_ms(job: Job, now: float) -> float:
    """Milliseconds since a job was received."""
    return _rounded(1e3 * (now - job.received))
