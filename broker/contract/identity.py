"""Who somebody is: a name that was proved, and the role that goes with it."""

import enum
from dataclasses import dataclass

from broker.contract.topics import ANONYMOUS


class Role(enum.StrEnum):
    """What a user is: a thing that submits tasks, another node, or a person who looks after them."""

    DEVICE = "device"
    NODE = "node"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client has proved to be. `publish` and `read` are filters of its own beside those of its role."""

    name: str
    role: Role
    publish: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


NOBODY = Identity(ANONYMOUS, Role.DEVICE)
"""All clients without a name, where a broker with users lets them in: to the rules they are one device."""
