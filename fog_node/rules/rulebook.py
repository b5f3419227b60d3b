"""All rules of a node: which of them mean a message, and what they make of it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from broker.contract.filter_tree import FilterTree
from broker.contract.message import Message
from fog_node.errors import RuleFault
from fog_node.rules.circles import circle
from fog_node.rules.compiled import CompiledRule
from fog_node.rules.counts import RuleCount
from fog_node.rules.language.content import Content
from fog_node.rules.language.faults import about
from fog_node.rules.language.pattern import Pattern
from fog_node.rules.rule import Rule
from fog_node.rules.verdict import Firing, Verdict
from fog_tasks.declaration.task import Task


class Rulebook:
    """The rules of a node, ready to be asked. Raises RuleFault for what cannot be."""

    def __init__(self, rules: Sequence[Rule], tasks: Mapping[str, Task[..., Any]]) -> None:
        self.compiled: dict[str, CompiledRule] = {}
        self.tree: FilterTree[tuple[CompiledRule, Pattern]] = FilterTree()
        for rule in rules:
            self._add(rule, tasks)
        _check_circles(self.compiled.values())

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All of them, in the order in which they are written."""
        return tuple(one.rule for one in self.compiled.values())

    @property
    def timed(self) -> tuple[Rule, ...]:
        """Those that the clock starts."""
        return tuple(rule for rule in self.rules if rule.timed)

    @property
    def filters(self) -> tuple[str, ...]:
        """What the node has to hear for them, as MQTT filters."""
        return _filters(self.compiled.values())

    @property
    def retained_filters(self) -> tuple[str, ...]:
        """Those of the filters whose retained messages are wanted."""
        return _filters(one for one in self.compiled.values() if one.rule.retained)

    def concerns(self, topic: str) -> bool:
        """Tell whether a rule's filter matches a topic; the rule may still not mean it."""
        return self.tree.matches(topic)

    def verdicts(self, message: Message, now: float, *, hops: int = 0) -> list[Verdict]:
        """What the rules make of a message, one verdict for each that means it; they are counted.

        `now` are seconds of a clock that never goes back. `hops` are the rules that led to the message.
        """
        content = Content(message.payload)
        found = []
        for one, levels in self._matching(message.topic):
            verdict = one.verdict(message, content, levels, now, hops)
            one.count.note(verdict)
            found.append(verdict)
        return found

    def fire(self, rule: Rule) -> Firing:
        """What a moment of one of the `timed` rules submits; it is counted."""
        one = self.compiled[rule.name]
        firing = one.moment()
        one.count.note(firing)
        return firing

    def refused(self, rule: str, code: str) -> None:
        """Note that what a rule fired was not taken on. What is Unfit has been counted already."""
        if rule in self.compiled:
            self.compiled[rule].count.note_refused(code)

    def counts(self) -> list[RuleCount]:
        """What became of the messages, rule by rule."""
        return [one.count for one in self.compiled.values()]

    def replace(self, other: "Rulebook") -> None:
        """Take over the rules of another book, which is not used any more.

        A rule of a name that was here goes on counting; one that has not changed also remembers what its
        conditions have seen.
        """
        for name, one in other.compiled.items():
            if name in self.compiled:
                one.go_on(self.compiled[name])
        self.compiled, self.tree = other.compiled, other.tree

    def _add(self, rule: Rule, tasks: Mapping[str, Task[..., Any]]) -> None:
        other = self.compiled.get(rule.name)
        if other is not None:
            with about(rule.source, rule.name, "name"):
                raise RuleFault(f"another rule has it, in {other.rule.source}; give each a name of its own")
        task = tasks.get(rule.task)
        if task is None:
            with about(rule.source, rule.name, "task"):
                raise RuleFault(f"no task {rule.task!r} is loaded; there are {', '.join(sorted(tasks))}")
        one = self.compiled[rule.name] = CompiledRule(rule, task)
        for pattern in one.patterns:
            self.tree.add(pattern.filter, (one, pattern))

    def _matching(self, topic: str) -> Iterator[tuple[CompiledRule, dict[str, str]]]:
        """The rules that mean a topic, once each, with the levels they name."""
        seen: set[str] = set()
        for level in self.tree.find(topic):
            for one, pattern in level.here:
                name = one.rule.name
                levels = None if name in seen else pattern.levels(topic)
                if levels is not None:
                    seen.add(name)
                    yield one, levels


def _check_circles(rules: Collection[CompiledRule]) -> None:
    found = circle(
        {one.rule.name: [pattern.filter for pattern in one.patterns] for one in rules},
        {one.rule.name: one.told_on() for one in rules},
    )
    if found is None:
        return
    first = next(one.rule for one in rules if one.rule.name == found[0])
    with about(first.source, first.name, "on"):
        raise RuleFault(
            f"the rules start each other in a circle: {' → '.join(found)}; what is told of a task (result,"
            " on_error, or else fog/results/… and fog/progress/…) must not lead back"
        )


def _filters(rules: Iterable[CompiledRule]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pattern.filter for one in rules for pattern in one.patterns))
