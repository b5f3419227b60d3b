"""What the rules say to a message."""

from collections.abc import Mapping
from dataclasses import dataclass

from broker.contract.messages import ErrorCode
from broker.contract.topics import Weight
from fog_node.jobs.answer import Answer
from fog_node.rules.conditions import Reason
from fog_node.rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """A task to submit. `payload` is what a device would have typed; without an `id` one is to be made."""

    rule: Rule
    task: str
    weight: Weight
    deadline: float | None
    max_hops: int | None
    device: str
    id: str | None
    payload: bytes
    answer: Answer
    levels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A message on the rule's topics that starts nothing, as the rule wants it."""

    rule: Rule
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A message that the rule means, but which cannot become a task; to be answered as a refusal."""

    rule: Rule
    code: ErrorCode
    message: str
    device: str
    id: str | None
    answer: Answer


Verdict = Firing | PassedOver | Unfit
