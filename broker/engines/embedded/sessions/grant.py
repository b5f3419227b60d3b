"""What a client was granted for one filter, or for all that match a topic."""

from typing import Optional

from msgspec import Struct


class Grant(Struct, frozen=True, gc=False):
    """The options of a subscription that are in force, and its identifier, if it has one (MQTT 5, 3.8.3.1).

    `own` is what counts for messages that the client itself has published, where that is something else.
    """

    qos: int
    retain_as_published: bool = False
    identifiers: tuple[int, ...] = ()
    own: Optional["Grant"] = None

    @classmethod
    def of(cls, qos: int, *, no_local: bool, retain_as_published: bool, identifier: int = 0) -> "Grant":
        """A grant as a SUBSCRIBE asks for it; 0 is no identifier."""
        if not (no_local or retain_as_published or identifier):
            return GRANTS[qos]
        return cls(
            qos, retain_as_published, (identifier,) if identifier else (), NOTHING if no_local else None
        )

    @property
    def no_local(self) -> bool:
        """Whether the client's own messages do not come back to it."""
        return self.own is NOTHING

    def joined(self, other: "Grant") -> "Grant":
        """One for two filters that match: the client gets one copy, with the identifiers of both."""
        ours, theirs = self.own or self, other.own or other
        own = None if ours is self and theirs is other else _joined(ours, theirs)
        return _joined(self, other, own)


NOTHING = Grant(-1)

GRANTS = tuple(Grant(qos) for qos in range(3))
"""What MQTT 3.1.1 has: the QoS alone. All subscriptions share these, which cost no memory then."""


def _joined(first: Grant, second: Grant, own: Grant | None = None) -> Grant:
    if NOTHING in (first, second):
        return second if first is NOTHING else first
    return Grant(
        max(first.qos, second.qos),
        first.retain_as_published or second.retain_as_published,
        first.identifiers + second.identifiers,
        own,
    )
