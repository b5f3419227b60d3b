"""Who may publish and read what: the rules of each role as pure functions, for every broker engine.

The rules are lists of topic filters with the user's name in them, so that the same ones can be
given to a Mosquitto.
"""

from broker.contract.filters import SHARED, is_filter, matches
from broker.contract.identity import Identity, Role
from broker.contract.topics import ANONYMOUS, CATALOG_FILTER, ROOT, STATE_FILTER, level_fault

_STATES = (STATE_FILTER, CATALOG_FILTER)

_PUBLISH = {
    Role.DEVICE: (
        f"{ROOT}/tasks/+/+",
        f"{ROOT}/tasks/+/+/%u",
        f"{ROOT}/tasks/+/+/%u/+",
        f"{ROOT}/cancel/%u/+",
    ),
    Role.NODE: (
        f"{ROOT}/mesh/+/tasks/+/+/%u/+",
        f"{ROOT}/mesh/+/cancel/%u/+",
        f"{ROOT}/mesh/+/results/+",
        f"{ROOT}/mesh/+/asks/+/+/%u/+",
        f"{ROOT}/mesh/+/waits/+",
        f"{ROOT}/nodes/%u/state",
        f"{ROOT}/nodes/%u/catalog",
    ),
    # To clear what is retained of a node that is gone.
    Role.OPERATOR: (f"{ROOT}/tasks/#", f"{ROOT}/cancel/#", *_STATES),
}
"""What a role may publish to; %u stands for the user's name."""

_READ = {
    Role.DEVICE: (f"{ROOT}/results/%u/#", f"{ROOT}/progress/%u/#", *_STATES),
    Role.NODE: (f"{ROOT}/mesh/%u/#", *_STATES),
    Role.OPERATOR: ("#", "$SYS/#"),
}
"""What a role may read. What is in no list is denied: outside `fog/` operators read, nobody writes."""


def publish_filters(identity: Identity) -> tuple[str, ...]:
    """What somebody may publish to."""
    return tuple(one.replace("%u", identity.name) for one in _PUBLISH[identity.role])


def read_filters(identity: Identity) -> tuple[str, ...]:
    """What somebody may read."""
    return tuple(one.replace("%u", identity.name) for one in _READ[identity.role])


def may_publish(identity: Identity, topic: str) -> bool:
    """Tell whether somebody may publish to a topic."""
    return any(matches(one, topic) for one in publish_filters(identity))


def may_subscribe(identity: Identity, filter: str) -> bool:
    """Tell whether somebody may read every topic that a filter matches."""
    if filter.startswith(SHARED):
        return may_subscribe(identity, filter.removeprefix(SHARED).partition("/")[2])
    return is_filter(filter) and any(covers(one, filter) for one in read_filters(identity))


def covers(allowed: str, wanted: str) -> bool:
    """Tell whether every topic that `wanted` matches is matched by `allowed` too."""
    have, asked = allowed.split("/"), wanted.split("/")
    if asked[0].startswith("$") and have[0] in ("+", "#"):
        return False
    for position, level in enumerate(have):
        if level == "#":
            return True
        if position == len(asked) or asked[position] == "#":
            return False
        if level not in ("+", asked[position]):
            return False
    return len(have) == len(asked)


def name_fault(name: str) -> str | None:
    """Say in a few words why a user cannot have this name, or None if one can.

    A name is a level of a topic, and stands in lines of Mosquitto's files.
    """
    fault = level_fault(name)
    if fault is not None:
        return fault
    if ":" in name or "%" in name or name != name.strip() or name.startswith("#"):
        return "contains one of : and %, or blanks around it"
    if name == ANONYMOUS:
        return "is the name of clients without one"
    return None
