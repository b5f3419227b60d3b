"""A client's will, as it is kept."""

from msgspec import Struct

from broker.contract.identity import Identity
from broker.mqtt.packets import Will


class LastWill(Struct, frozen=True):
    """A will, and what its client has said of itself: who may have lost that right until the will is told."""

    said: Will
    username: str | None = None
    certificate: Identity | None = None
