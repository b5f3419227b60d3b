"""Names and ids in topics: checks them, and makes ids."""

import itertools
import secrets
from collections.abc import Iterator

from broker.contract.topics import level_fault


def check_level(what: str, level: str) -> None:
    """Raise ValueError if a device, a task or an id cannot be one level of a topic."""
    fault = level_fault(level)
    if fault is not None:
        raise ValueError(f"{what} {level[:40]!r} {fault}")


def new_ids() -> Iterator[str]:
    """Give ids that no earlier run of a device used: for those the node would send kept outcomes."""
    # Short, since it comes back in each answer, and errors fit into small packets.
    life = secrets.token_urlsafe(8)
    return (f"{life}-{number}" for number in itertools.count(1))
