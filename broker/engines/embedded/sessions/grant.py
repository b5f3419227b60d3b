"""What a client was granted for one filter, or for all that match a topic."""

from collections.abc import Sequence
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

    @classmethod
    def joined(cls, grants: Sequence["Grant"]) -> "Grant":
        """One for several filters that match: the client gets one copy, with the identifiers of all."""
        qos, retain_as_published, no_local = 0, False, False
        identifiers: list[int] = []
        for one in grants:
            # This is done for each message and subscriber, and max() would be a third of it.
            if one.qos > qos:  # noqa: PLR1730
                qos = one.qos
            if one.retain_as_published:
                retain_as_published = True
            if one.own is not None:
                no_local = True
            if one.identifiers:
                identifiers += one.identifiers
        if not (retain_as_published or no_local or identifiers):
            return GRANTS[qos]
        own = None
        if no_local:
            others = [one for one in grants if one.own is None]
            own = cls.joined(others) if others else NOTHING
        return cls(qos, retain_as_published, tuple(identifiers), own)


NOTHING = Grant(-1)

GRANTS = tuple(Grant(qos) for qos in range(3))
"""What MQTT 3.1.1 has: the QoS alone. All subscriptions share these, which cost no memory then."""
