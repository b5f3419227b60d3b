"""Who may connect, publish and subscribe: the seam that users and access rules fill."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Login:
    """What a client says of itself when it connects."""

    client_id: str
    username: str | None
    password: bytes | None
    address: str


class Access(Protocol):
    """Decides; asked once for each connection, publish and subscription, so it has to be quick."""

    def may_connect(self, login: Login) -> bool:
        """Whether a client may connect."""

    def may_publish(self, login: Login, topic: str) -> bool:
        """Whether a client may publish to a topic."""

    def may_subscribe(self, login: Login, filter: str) -> bool:
        """Whether a client may subscribe to a filter."""


class AllowAll:
    """Lets everybody do everything."""

    def may_connect(self, login: Login) -> bool:  # noqa: ARG002  # the contract's arguments
        return True

    def may_publish(self, login: Login, topic: str) -> bool:  # noqa: ARG002
        return True

    def may_subscribe(self, login: Login, filter: str) -> bool:  # noqa: ARG002
        return True
