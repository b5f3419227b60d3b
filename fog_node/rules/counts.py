"""What became of the messages that a rule means."""

from collections import Counter
from dataclasses import dataclass, field

from fog_node.rules.rule import Rule
from fog_node.rules.verdict import Firing, PassedOver, Unfit, Verdict


@dataclass(slots=True)
class RuleCount:
    """Messages, and moments, since the node's start.

    Each that `matched` has `fired`, or was passed over for a reason, or was refused with a code.
    """

    rule: Rule
    matched: int = 0
    fired: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """The rule's."""
        return self.rule.name

    @property
    def source(self) -> str:
        """Where the rule is written."""
        return self.rule.source

    @property
    def on(self) -> str:
        """What starts the rule."""
        return ", ".join(map(str, self.rule.on))

    @property
    def task(self) -> str:
        """What the rule starts."""
        return self.rule.task

    def note(self, verdict: Verdict) -> None:
        """Count one more message."""
        self.matched += 1
        match verdict:
            case Firing():
                self.fired += 1
            case PassedOver(reason=reason):
                self.passed_over[reason] += 1
            case Unfit(code=code):
                self.refused[code] += 1

    def note_refused(self, code: str) -> None:
        """Count what has fired as refused instead."""
        self.fired -= 1
        self.refused[code] += 1

    def go_on(self, earlier: "RuleCount") -> None:
        """Count from where another left off."""
        self.matched, self.fired = earlier.matched, earlier.fired
        self.passed_over, self.refused = earlier.passed_over, earlier.refused
