"""Which of the messages on a rule's topics start its task."""

import enum
import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from fog_node.rules.language.content import Content
from fog_node.rules.language.expressions import Expression
from fog_node.rules.rule import Rule

MOST_SETS = 10_000
"""Sets of levels that a rule remembers, the latest seen: a device may publish under any number of names."""

_in_order = msgspec.json.Encoder(order="deterministic")


class Reason(enum.StrEnum):
    """Why a message was passed over: the key of the rule, or the number of rules that led to it."""

    RETAINED = "retained"
    HOPS = "hops"
    WHEN = "when"
    CHANGED = "changed"
    EVERY = "every"
    AT_MOST = "at_most"


@dataclass(slots=True)
class _Seen:
    """What is remembered of one set of levels."""

    value: bytes | None = None
    counted: int = 0
    let_through: float = -math.inf


class Memory:
    """What the conditions of one rule remember of earlier messages, for each set of levels."""

    def __init__(self) -> None:
        self._sets: OrderedDict[frozenset[tuple[str, str]], _Seen] = OrderedDict()

    def of(self, levels: frozenset[tuple[str, str]]) -> _Seen:
        """What is remembered of a set of levels; the set not seen for longest makes room for a new one."""
        seen = self._sets.setdefault(levels, _Seen())
        self._sets.move_to_end(levels)
        if len(self._sets) > MOST_SETS:
            self._sets.popitem(last=False)
        return seen


class Conditions:
    """`when`, `changed`, `every` and `at_most` of one rule, in this order."""

    def __init__(self, rule: Rule, when: Expression | None, changed: Expression | None) -> None:
        self.memory = Memory()
        self._when = when
        self._changed = changed
        self._every = rule.every
        self._at_most = rule.at_most
        self._remembers = changed is not None or rule.every > 1 or rule.at_most is not None

    def against(self, content: Content, levels: Mapping[str, str], now: float) -> Reason | None:
        """Why the message is passed over; None lets it through. Raises Misfit."""
        if self._when is not None and not self._when.holds(content):
            return Reason.WHEN
        if not self._remembers:
            return None
        value = self._value(content)
        seen = self.memory.of(frozenset(levels.items()))
        if self._changed is not None and value in (None, seen.value):
            return Reason.CHANGED
        seen.counted += 1
        if (seen.counted - 1) % self._every:
            seen.value = value
            return Reason.EVERY
        if self._at_most is not None and now - seen.let_through < self._at_most:
            # The value is not remembered: if it stays, it is told when its time has come.
            return Reason.AT_MOST
        seen.value, seen.let_through = value, now
        return None

    def _value(self, content: Content) -> bytes | None:
        """A digest of what `changed` finds: it may be large."""
        found = None if self._changed is None else self._changed.of(content)
        return None if found is None else hashlib.blake2b(_in_order.encode(found), digest_size=16).digest()
