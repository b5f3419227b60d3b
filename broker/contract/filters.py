"""Topic filters as MQTT 3.1.1 defines them (section 4.7)."""

from collections.abc import Iterable

from broker.contract.filter_tree import FilterTree

SHARED = "$share/"
"""How the filter of a shared subscription begins."""


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
    """Several filters as one question, whose answer costs the same however many there are."""

    def __init__(self, filters: Iterable[str]) -> None:
        tree: FilterTree[None] = FilterTree()
        for one in filters:
            tree.add(one, None)
        self.matches = tree.matches
