"""One MQTT message, as a node reads and writes it."""

import msgspec

from broker.contract.identity import Role

UserProperties = tuple[tuple[str, str], ...]
"""Names with values of a sender's own, in its order; a name may come more than once."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One application message.

    `client_id` is the publisher's, where the engine knows it; `user` and `role` are who the publisher has
    proved to be, where the broker has users, and `reads` what it may read beside what its role may.
    `replayed` tells what the broker had kept from what is published now. The rest is MQTT 5's; `expiry` is
    what remains of a message's life, in seconds.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    replayed: bool = False
    client_id: str | None = None
    user: str | None = None
    role: Role | None = None
    reads: tuple[str, ...] = ()
    response_topic: str | None = None
    correlation: bytes | None = None
    expiry: float | None = None
    content_type: str | None = None
    user_properties: UserProperties = ()
