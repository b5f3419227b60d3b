"""A client's will, as it is kept."""

from msgspec import Struct

from broker.contract.identity import Identity
from broker.mqtt.packets import Will


class LastWill(Struct, frozen=True):
    """A will, and what its client has said of itself: it may have lost its rights by the time that it is told."""

    said: Will
    username: str | None = None
    certificate: Identity | None = None
