"""What a refused acknowledgement says of a task: the outcome, or the error, that it stands for. No I/O."""

from broker.contract.messages import ErrorCode, Outcome, TaskError
from broker.contract.refusal import Refusal
from broker.contract.topics import TaskTopic
from broker.mqtt.reasons import Reason
from device_sim.errors import DeviceError, NodeUnreachable

OUTCOME_FOLLOWS = 1.0
"""Seconds in which the outcome of what a node has refused comes, which it sends with the acknowledgement."""

_PLAIN: dict[int, ErrorCode] = {
    Reason.NOT_AUTHORIZED: ErrorCode.FORBIDDEN,
    Reason.TOPIC_NAME_INVALID: ErrorCode.BAD_TOPIC,
    Reason.PACKET_TOO_LARGE: ErrorCode.TOO_LARGE,
}
"""Reason codes of MQTT 5 that stand for one error only."""

_LIKELY: dict[int, ErrorCode] = {
    Reason.QUOTA_EXCEEDED: ErrorCode.OVERLOADED,
    Reason.PAYLOAD_FORMAT_INVALID: ErrorCode.BAD_PAYLOAD,
}
"""Those that stand for several: the one whose advice fits all of them."""


def is_plain(refusal: Refusal) -> bool:
    """Whether the reason alone says which error it is."""
    return refusal.reason in _PLAIN


def refused(topic: TaskTopic, refusal: Refusal) -> Outcome | DeviceError:
    """How a task ends that was refused so and has no outcome."""
    code = (_PLAIN | _LIKELY).get(refusal.reason)
    if code is None:
        return NodeUnreachable(f"the broker did not take {topic.task} {topic.id}: {refusal.sentence}")
    assert topic.id is not None
    error = TaskError(code, refusal.sentence)
    return Outcome(ok=False, error=error, id=topic.id, task=topic.task, node="", route=())
