"""Topic filters as MQTT 3.1.1 defines them (section 4.7)."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from broker.contract.filter_tree import FilterTree

SHARED = "$share/"
"""How the filter of a shared subscription begins."""

FEW = 8
"""Filters that are faster as one regular expression, which tries one after the other, than as a tree. They
are a node's own, whose topics have identifiers in them and are not worth remembering."""

REMEMBERED = 2_048
"""Topics whose answer is remembered. One may have 64 kB, and whoever may publish can make up more of them."""


def split_shared(filter: str) -> tuple[str, str] | None:
    """Part a shared filter into group and filter; None if it is not of the form `$share/GROUP/FILTER`."""
    _, _, rest = filter.partition("/")
    group, slash, wanted = rest.partition("/")
    if not slash or not group or not wanted or "+" in group or "#" in group:
        return None
    return group, wanted


def unshared(filter: str) -> str:
    """The filter whose topics a filter matches, be it shared or not."""
    parted = split_shared(filter) if filter.startswith(SHARED) else None
    return filter if parted is None else parted[1]


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
    """Several filters as one question, which is asked of every message; those first that are met most."""

    def __init__(self, filters: Iterable[str]) -> None:
        wanted = dict.fromkeys(filters)
        wild = [one for one in wanted if "+" in one or "#" in one]
        self._plain = {*wanted}.difference(wild)
        self._few = _pattern(wild[:FEW])
        tree: FilterTree[None] = FilterTree()
        for one in wild[FEW:]:
            tree.add(one, None)
        # Devices have a few topics each, and publish on them again and again.
        self._many = lru_cache(REMEMBERED)(tree.matches)

    def matches(self, topic: str) -> bool:
        """Tell whether a topic matches one of the filters."""
        return topic in self._plain or self._few(topic) is not None or self._many(topic)


def _pattern(filters: Iterable[str]) -> Callable[[str], object | None]:
    # No filter at all is (?!), which matches nothing.
    return re.compile("|".join(map(_as_pattern, filters)) or "(?!)", re.DOTALL).fullmatch


def _as_pattern(filter: str) -> str:
    levels = filter.split("/")
    pattern = "(?!\\$)" if levels[0] in ("+", "#") else ""
    for position, level in enumerate(levels):
        if level == "#":
            # `a/#` stands for `a` too.
            return pattern + ("(?:/.*)?" if position else ".*")
        pattern += ("/" if position else "") + ("[^/]*" if level == "+" else re.escape(level))
    return pattern
