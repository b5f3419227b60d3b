"""One rule made ready: what is text in it is parsed once, and checked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from broker.contract.identity import Role
from broker.contract.message import Message
from broker.contract.messages import ErrorCode
from broker.contract.submissions import MOST_LEVELS, may_reply
from broker.contract.topics import level_fault, progress_filter, result_filter
from fog_node.errors import RuleFault
from fog_node.jobs.answer import Answer
from fog_node.rules.arguments import payload_of_moment, read_arguments
from fog_node.rules.conditions import Conditions, Reason
from fog_node.rules.counts import RuleCount
from fog_node.rules.language.content import Content
from fog_node.rules.language.expressions import Expression
from fog_node.rules.language.faults import Misfit, about
from fog_node.rules.language.pattern import Pattern, read_pattern
from fog_node.rules.language.templates import Names, Template
from fog_node.rules.rule import Filter, Rule
from fog_node.rules.verdict import Firing, PassedOver, Unfit, Verdict
from fog_tasks.declaration.task import Task

MOST_HOPS = 16
"""Rules that lead one to the next: more is taken for a circle."""

_Found = TypeVar("_Found")
_Levels = Mapping[str, str]
_NOTHING = Content(b"")


class CompiledRule:
    """A rule with its task. Raises RuleFault, which names file, rule and key."""

    def __init__(self, rule: Rule, task: Task[..., Any]) -> None:
        self.rule = rule
        self.count = RuleCount(rule)
        self._task = task
        with self._about("on"):
            self.patterns = tuple(
                read_pattern(trigger.pattern) for trigger in rule.on if isinstance(trigger, Filter)
            )
        self._has_device = any("device" in pattern.places for pattern in self.patterns)
        self._names = _common_names(self.patterns, timed=rule.timed)
        with self._about("when"):
            when = None if rule.when is None else Expression(rule.when)
        with self._about("changed"):
            changed = None if rule.changed is None else Expression(rule.changed)
        self.conditions = Conditions(rule, when, changed)
        with self._about("id"):
            self._id = None if rule.id is None else Template(rule.id, self._names, one_level=True)
        self._result = self._topic_template("result", rule.result)
        self._on_error = self._topic_template("on_error", rule.on_error)
        with self._about("arguments"):
            self._arguments = read_arguments(rule.arguments, task, self._names)
            self._moment = payload_of_moment(self._arguments, task) if rule.timed else b""

    def verdict(self, message: Message, content: Content, levels: _Levels, now: float, hops: int) -> Verdict:
        """What becomes of a message on the rule's topics."""
        try:
            reason = self._passed_over(message, content, levels, now, hops)
            if reason is not None:
                return PassedOver(rule=self.rule, reason=reason)
            return self._firing(content, levels, self._answer(hops + 1, message.role))
        except Misfit as fault:
            misfit = fault
        except Exception as fault:  # noqa: BLE001  # one rule must not keep the message from the others
            misfit = Misfit(ErrorCode.BAD_ARGUMENTS, f"{type(fault).__name__}: {fault}")
        return self._unfit(misfit, content, levels, self._answer(hops + 1, message.role))

    def moment(self) -> Firing:
        """What the clock starts; it has the rights of whoever wrote the rule."""
        answer = self._told(self._answer(1, Role.OPERATOR), {}, _NOTHING)
        return self._submission(self._moment, self.rule.name, None, answer, {})

    def go_on(self, earlier: "CompiledRule") -> None:
        """Take the place of an earlier rule of this name."""
        self.count.go_on(earlier.count)
        if self.rule == earlier.rule:
            self.conditions.memory = earlier.conditions.memory

    def told_on(self) -> list[str]:
        """Filters of the topics on which something may be told of its tasks."""
        device = "+" if self._has_device else self.rule.name
        found = [progress_filter(device)]
        found += [one.filter for one in (self._result, self._on_error) if one is not None]
        if self._result is None or (self._on_error is None and self.rule.tells_value):
            found.append(result_filter(device))
        return found

    def _passed_over(
        self, message: Message, content: Content, levels: _Levels, now: float, hops: int
    ) -> Reason | None:
        if message.replayed and not self.rule.retained:
            return Reason.RETAINED
        if hops >= MOST_HOPS:
            return Reason.HOPS
        return self.conditions.against(content, levels, now)

    def _firing(self, content: Content, levels: _Levels, answer: Answer) -> Firing:
        device = self._device(levels)
        name = self._id_of(levels, content)
        payload = self._arguments.payload(levels, content)
        return self._submission(payload, device, name, self._told(answer, levels, content), levels)

    def _submission(
        self, payload: bytes, device: str, id: str | None, answer: Answer, levels: _Levels
    ) -> Firing:
        rule = self.rule
        return Firing(
            rule=rule,
            task=rule.task,
            weight=rule.weight,
            deadline=rule.deadline,
            max_hops=rule.max_hops,
            device=device,
            id=id,
            payload=payload,
            answer=answer,
            levels=levels,
        )

    def _unfit(self, misfit: Misfit, content: Content, levels: _Levels, answer: Answer) -> Unfit:
        """Tell it as far as the message lets itself be read."""
        device = _attempt(lambda: self._device(levels)) or self.rule.name
        result = _attempt(lambda: self._topic(self._result, levels, content))
        error = _attempt(lambda: self._topic(self._on_error, levels, content))
        return Unfit(
            rule=self.rule,
            code=misfit.code,
            message=str(misfit),
            device=device,
            id=_attempt(lambda: self._id_of(levels, content)),
            answer=msgspec.structs.replace(answer, result=result, error=error),
        )

    def _answer(self, hops: int, role: Role | None) -> Answer:
        rule = self.rule
        return Answer(
            rule=rule.name, value=rule.tells_value, retain=rule.retain, qos=rule.qos, hops=hops, role=role
        )

    def _told(self, answer: Answer, levels: _Levels, content: Content) -> Answer:
        result = self._topic(self._result, levels, content)
        error = self._topic(self._on_error, levels, content)
        return msgspec.structs.replace(answer, result=result, error=error)

    def _device(self, levels: _Levels) -> str:
        device = levels.get("device", self.rule.name)
        fault = level_fault(device)
        if fault is not None:
            raise Misfit(ErrorCode.BAD_TOPIC, f"the level device {fault}")
        return device

    def _id_of(self, levels: _Levels, content: Content) -> str | None:
        if self._id is None:
            return None
        name = self._id.fill(levels, content)
        fault = level_fault(name)
        if fault is not None:
            raise Misfit(ErrorCode.BAD_PAYLOAD, f"the id {name[:40]!r} {fault}")
        return name

    def _topic(self, template: Template | None, levels: _Levels, content: Content) -> str | None:
        if template is None:
            return None
        topic = template.topic(levels, content)
        if not may_reply(topic, levels.get("device", self.rule.name)):
            raise Misfit(ErrorCode.BAD_TOPIC, f"nothing may be told on {topic[:80]!r}")
        return topic

    def _topic_template(self, key: str, text: str | None) -> Template | None:
        if text is None:
            return None
        with self._about(key):
            template = Template(text, self._names)
            if not may_reply(template.sample("x"), "x" if self._has_device else self.rule.name):
                raise RuleFault(
                    f"{text!r} is no topic that a node may publish: it has no wildcard, at most"
                    f" {MOST_LEVELS} levels, and is not the broker's ($) or the nodes' (fog/)"
                )
            if self.rule.timed and template.sample("") != text:
                raise RuleFault(f"{text!r} has a hole, and a moment has nothing to fill it with")
        return template

    def _about(self, key: str) -> Any:
        return about(self.rule.source, self.rule.name, key)


def _common_names(patterns: Sequence[Pattern], *, timed: bool) -> Names:
    """The names that can be filled in whatever starts the rule."""
    if timed or not patterns:
        return {}
    first, *others = (pattern.names for pattern in patterns)
    return {
        name: several or any(other.get(name) for other in others)
        for name, several in first.items()
        if all(name in other for other in others)
    }


def _attempt(find: Callable[[], _Found]) -> _Found | None:
    try:
        return find()
    except Misfit:
        return None
