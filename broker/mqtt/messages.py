"""The messages that a PUBLISH carries, as the bus knows them. No I/O."""

import msgspec

from broker.contract.identity import Role
from broker.contract.message import Message
from broker.mqtt.packets import Publish
from broker.mqtt.passed_on import read_passed_on


def message_of(
    packet: Publish,
    *,
    retain: bool = False,
    replayed: bool = False,
    client_id: str | None = None,
    user: str | None = None,
    role: Role | None = None,
    reads: tuple[str, ...] = (),
) -> Message:
    """The message that a PUBLISH carries, with what is known of who has published it."""
    message = Message(
        topic=packet.topic,
        payload=packet.payload,
        qos=packet.qos,
        retain=retain,
        replayed=replayed,
        client_id=client_id,
        user=user,
        role=role,
        reads=reads,
    )
    if not packet.passed and packet.expiry is None:
        return message
    passed_on = read_passed_on(packet.passed)._asdict()
    return msgspec.structs.replace(message, expiry=packet.expiry, **passed_on)
