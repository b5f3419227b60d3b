"""What rules would make of a message: nothing is started, and earlier messages are not known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from broker.contract.message import Message
from broker.contract.messages import UNREADABLE, ErrorCode
from broker.contract.topics import ResultTopic, Weight
from broker.errors import BadPayload
from fog_node.rules.arguments import finds_nothing
from fog_node.rules.language.content import Content
from fog_node.rules.language.expressions import Expression
from fog_node.rules.rule import Rule
from fog_node.rules.rulebook import Rulebook
from fog_node.rules.verdict import Firing, PassedOver, Unfit, Verdict
from fog_tasks.declaration.task import Task
from fog_tasks.errors import BadArguments

Tasks = Mapping[str, Task[..., Any]]

MADE = "<made by the node>"
"""The id of a task for which its rule makes none."""


class Trial(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one rule would make of a message. `not_because` says why it would start nothing.

    `roles` are those of the users for whom the task runs, none for everybody. `left_out` are the arguments
    for which nothing was found. `unless` are the conditions that depend on earlier messages.
    """

    rule: str
    source: str
    not_because: str = ""
    task: str = ""
    weight: Weight | None = None
    roles: list[str] = []
    device: str = ""
    id: str = ""
    arguments: msgspec.Raw | str = ""
    left_out: list[str] = []
    value_to: str = ""
    outcome_to: str = ""
    failure_to: str = ""
    unless: list[str] = []

    @property
    def starts(self) -> bool:
        """Whether it would start its task."""
        return not self.not_because


def trials(rules: Sequence[Rule], tasks: Tasks, topic: str, payload: bytes) -> list[Trial]:
    """What each rule on the topic would make of the message. Raises RuleFault."""
    as_written = {rule.name: rule for rule in rules}
    order = list(as_written)
    # What is to be changed stays: to a book that has seen nothing, all that is there has changed.
    book = Rulebook([replace(rule, every=1, at_most=None) for rule in rules], tasks)
    verdicts = book.verdicts(Message(topic=topic, payload=payload, qos=1), 0.0)
    verdicts.sort(key=lambda one: order.index(one.rule.name))
    content = Content(payload)
    return [_trial(as_written[one.rule.name], one, tasks, content) for one in verdicts]


def _trial(rule: Rule, verdict: Verdict, tasks: Tasks, content: Content) -> Trial:
    told = Trial(rule=rule.name, source=rule.source)
    match verdict:
        case PassedOver(reason=reason):
            condition: str = getattr(rule, reason)
            parts = "; ".join(Expression(condition).parts(content))
            sentence = f"{reason} = {condition} does not hold{': ' if parts else ''}{parts}"
            return msgspec.structs.replace(told, not_because=sentence)
        case Unfit(code=code, message=message):
            return msgspec.structs.replace(told, not_because=f"{code}: {message}")
        case Firing():
            return _of_firing(told, rule, verdict, tasks[verdict.task])


def _of_firing(told: Trial, rule: Rule, firing: Firing, task: Task[..., Any]) -> Trial:
    answer, name = firing.answer, firing.id or MADE
    own = str(ResultTopic(firing.device, name))
    good, bad = answer.topic(ok=True) or own, answer.topic(ok=False) or own
    return msgspec.structs.replace(
        told,
        not_because=_fault(task, firing.payload),
        task=task.name,
        roles=sorted(task.roles),
        weight=task.weight if firing.weight is Weight.AUTO else firing.weight,
        device=firing.device,
        id=name,
        arguments=_shown(firing.payload),
        left_out=list(_left_out(rule, firing.payload)),
        value_to=good if answer.value else "",
        outcome_to="" if answer.value else good,
        failure_to=bad,
        unless=list(_unless(rule)),
    )


def _fault(task: Task[..., Any], payload: bytes) -> str:
    try:
        task.check(payload)
    except BadPayload as fault:
        return f"{ErrorCode.BAD_PAYLOAD}: {fault}"
    except BadArguments as fault:
        return f"{ErrorCode.BAD_ARGUMENTS}: {fault}"
    return ""


def _shown(payload: bytes) -> msgspec.Raw | str:
    """The arguments as JSON where they are that; of bytes, how many there are."""
    try:
        msgspec.json.decode(payload)
    except UNREADABLE:
        return f"{len(payload)} bytes"
    return msgspec.Raw(payload)


def _left_out(rule: Rule, payload: bytes) -> Iterator[str]:
    if rule.arguments is not None:
        given = msgspec.json.decode(payload)
        for name, written in rule.arguments.items():
            if name not in given:
                yield finds_nothing(name, written)


def _unless(rule: Rule) -> Iterator[str]:
    if rule.changed is not None:
        yield f"{rule.changed} is what it was"
    if rule.every > 1:
        yield f"it is not one in {rule.every}"
    if rule.at_most is not None:
        yield f"one has come in the last {rule.at_most:g} s"
