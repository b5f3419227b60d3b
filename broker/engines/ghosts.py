"""What nodes said of themselves that are there no more: renamed or removed. No I/O, no clock.

State and catalog are retained, so a broker would show them for ever.
"""

from collections.abc import Iterable

from broker.contract.topics import CATALOG_FILTER, ROOT, STATE_FILTER

NODES_FILTERS = (STATE_FILTER, CATALOG_FILTER)
"""The filters under which it is heard what nodes say of themselves."""

FORGOTTEN_AFTER = 24 * 3600.0
"""Seconds without a word of a node after which a broker keeps nothing of it."""


def is_of_a_node(topic: str) -> bool:
    """Whether somebody speaks of a node there."""
    return topic.startswith(f"{ROOT}/nodes/")


def ghosts(heard: Iterable[tuple[str, float]], before: float) -> list[str]:
    """The topics of those nodes of which all that was `heard` is from `before`."""
    heard = list(heard)
    # A catalog is told when it changes, and a state each second: they are as old as the younger of them.
    there = {_node(topic) for topic, at in heard if at >= before}
    return [topic for topic, _ in heard if _node(topic) not in there]


def _node(topic: str) -> str:
    return topic.rpartition("/")[0]
