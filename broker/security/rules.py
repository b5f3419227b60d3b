"""Who may publish and read what: the rules of each role as pure functions, for every broker engine.

The rules are lists of topic filters with the user's name in them, so that the same ones can be
given to a Mosquitto.
"""

from functools import lru_cache

from broker.contract.filters import SHARED, FilterSet, is_filter
from broker.contract.identity import Identity, Role
from broker.contract.topics import ANONYMOUS, CATALOG_FILTER, NO_TEXT, ROOT, STATE_FILTER, level_fault

USER = "%u"
"""What stands for a user's name in filters."""

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
"""What a role may read. What is in no list is denied: outside `fog/` operators may read, and each user what
the users file gives it."""


def publish_filters(identity: Identity) -> tuple[str, ...]:
    """What somebody may publish to."""
    return tuple(one.replace(USER, identity.name) for one in (*_PUBLISH[identity.role], *identity.publish))


def read_filters(identity: Identity) -> tuple[str, ...]:
    """What somebody may read."""
    return tuple(one.replace(USER, identity.name) for one in (*_READ[identity.role], *identity.read))


def may_publish(identity: Identity, topic: str) -> bool:
    """Tell whether somebody may publish to a topic."""
    return _published(identity).matches(topic)


@lru_cache(maxsize=1024)
def _published(identity: Identity) -> FilterSet:
    # Asked of each message: to put the name into the filters costs more than to match them.
    return FilterSet(publish_filters(identity))


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


def own_topic_fault(filter: str, name: str) -> str | None:
    """Say in a few words why the user called `name` cannot have topics of its own, or None if it can."""
    topics = filter.replace(USER, name)
    first = topics.partition("/")[0]
    character = NO_TEXT.search(topics)
    if first in ("+", "#"):
        return "begins with a wildcard, which would reach the topics of everybody: name the first level"
    if first == ROOT:
        return f"is below {ROOT}/, where the role says what is allowed"
    if first.startswith("$"):
        return "begins with $: these topics are the broker's own"
    if character is not None:
        return f"contains U+{ord(character[0]):04X}, which MQTT does not allow"
    if "%" in topics:
        return f"contains %, which may stand in {USER} for the user's name alone"
    return None if is_filter(topics) else "is no topic filter: + is a whole level, and # the last one"


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
