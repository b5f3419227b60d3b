"""Topic filters as MQTT 3.1.1 defines them (section 4.7)."""

import re
from collections.abc import Sequence

SHARED = "$share/"
"""How the filter of a shared subscription begins."""


def split_shared(filter: str) -> tuple[str, str] | None:
    """Part a shared filter into group and filter; None if it is not of the form `$share/GROUP/FILTER`."""
    _, _, rest = filter.partition("/")
    group, slash, wanted = rest.partition("/")
    if not slash or not group or not wanted or "+" in group or "#" in group:
        return None
    return group, wanted


def matches(filter: str, topic: str) -> bool:
    """Tell whether a topic matches a filter with `+` and `#`; wildcards never match a leading `$`."""
    wanted, levels = filter.split("/"), topic.split("/")
    if levels[0].startswith("$") and wanted[0] in ("+", "#"):
        return False
    for position, part in enumerate(wanted):
        if part == "#":
            return True
        if position == len(levels) or part not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)


def is_filter(filter: str) -> bool:
    """Tell whether a string is a well-formed topic filter."""
    levels = filter.split("/")
    if not filter or "\0" in filter:
        return False
    if len(filter.encode("utf-8", "replace")) > 65535:
        return False
    for position, level in enumerate(levels):
        if "#" in level and (level != "#" or position != len(levels) - 1):
            return False
        if "+" in level and level != "+":
            return False
    return True


class FilterSet:
    """Several filters as one question, answered in one pass however many there are."""

    def __init__(self, filters: Sequence[str]) -> None:
        # No filter at all is (?!), which matches nothing.
        self._pattern = re.compile("|".join(map(_as_pattern, filters)) or "(?!)", re.DOTALL)

    def matches(self, topic: str) -> bool:
        """Tell whether a topic matches one of the filters."""
        return self._pattern.fullmatch(topic) is not None


def _as_pattern(filter: str) -> str:
    levels = filter.split("/")
    pattern = "(?!\\$)" if levels[0] in ("+", "#") else ""
    for position, level in enumerate(levels):
        if level == "#":
            # `a/#` stands for `a` too.
            return pattern + ("(?:/.*)?" if position else ".*")
        pattern += ("/" if position else "") + ("[^/]*" if level == "+" else re.escape(level))
    return pattern
