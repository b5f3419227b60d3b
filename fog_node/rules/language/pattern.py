"""The topics of a rule: an MQTT filter whose levels may have names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from broker.contract.filters import is_filter
from broker.contract.topics import FOR_ONCE, ROOT
from fog_node.errors import RuleFault
from fog_node.rules.language.templates import PAYLOAD

_NAMED = re.compile(r"\{([^\W\d]\w*)(\+?)\}")
_OPEN = tuple(f"{ROOT}/{kind}/" for kind in ("results", "progress", "nodes"))
"""The topics of the contract that tell of something, and so may start a rule."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """`tele/{plug}/SENSOR`, parsed: the filter that brokers know, and the places of the named levels.

    `rest` is the name of the last levels together, at least one of them.
    """

    filter: str
    places: Mapping[str, int]
    rest: str | None = None

    def levels(self, topic: str) -> dict[str, str] | None:
        """The named levels of a topic that matches the filter; None where the rule does not mean this topic.

        A wildcard at the beginning does not reach into the contract's own tree, and a level with a name is
        not empty.
        """
        parts = topic.split("/")
        if parts[0] == ROOT and not self.filter.startswith(ROOT):
            return None
        found = {name: parts[place] for name, place in self.places.items()}
        if self.rest is not None:
            found[self.rest] = "/".join(parts[self.filter.count("/") :])
        return found if all(found.values()) else None

    @property
    def names(self) -> dict[str, bool]:
        """The names of the levels, and whether each may stand for several."""
        return dict.fromkeys(self.places, False) | ({} if self.rest is None else {self.rest: True})


def read_pattern(text: str) -> Pattern:
    """Parse it. Raises RuleFault."""
    places: dict[str, int] = {}
    rest = None
    parts = text.split("/")
    for place, part in enumerate(parts):
        named = _NAMED.fullmatch(part)
        if named is None:
            if "{" in part or "}" in part:
                raise RuleFault(
                    f"level {part!r} of {text!r} is neither text nor a name; a name is a whole level:"
                    " {plug}, or {rest+} for the last ones"
                )
            continue
        name, several = named.groups()
        if name in places or name == PAYLOAD:
            taken = "stands for the payload" if name == PAYLOAD else "is there twice"
            raise RuleFault(f"the name {name!r} in {text!r} {taken}; give each level a name of its own")
        if not several:
            places[name], parts[place] = place, "+"
        elif place < len(parts) - 1:
            raise RuleFault(f"{part} in {text!r} stands for the last levels, and has to be the last")
        elif name == "device":
            raise RuleFault(
                f"{part} in {text!r} may be several levels, and a device is one: write {{device}}"
            )
        else:
            rest, parts[place] = name, "#"
    pattern = Pattern("/".join(parts), places, rest)
    _check_reach(text, pattern.filter)
    return pattern


def _check_reach(text: str, filter: str) -> None:
    if not is_filter(filter):
        raise RuleFault(f"{text!r} is no MQTT filter: + and {{name}} are whole levels, # is the last one")
    if filter.startswith("$") and not filter.startswith("$SYS/"):
        raise RuleFault(f"{text!r} begins with $, and of those topics only $SYS/… can start a rule")
    if filter.startswith(FOR_ONCE):
        raise RuleFault(f"{text!r} are orders to nodes, which start no rule")
    if filter.startswith(f"{ROOT}/") and not filter.startswith(_OPEN):
        raise RuleFault(f"{text!r} is not one of {', '.join(f'{kind}…' for kind in _OPEN)}")
