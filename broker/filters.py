"""Topic filters as MQTT 3.1.1 defines them (section 4.7)."""


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
    if not filter or "\0" in filter or len(filter.encode("utf-8", "replace")) > 65535:
        return False
    for position, level in enumerate(levels):
        if "#" in level and (level != "#" or position != len(levels) - 1):
            return False
        if "+" in level and level != "+":
            return False
    return True
