"""The messages that a PUBLISH carries, as the bus knows them. No I/O."""

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
    topic, payload, qos = packet.topic, packet.payload, packet.qos
    if not packet.passed and packet.expiry is None:
        return Message(
            topic=topic,
            payload=payload,
            qos=qos,
            retain=retain,
            replayed=replayed,
            client_id=client_id,
            user=user,
            role=role,
            reads=reads,
        )
    return Message(
        topic=topic,
        payload=payload,
        qos=qos,
        retain=retain,
        replayed=replayed,
        client_id=client_id,
        user=user,
        role=role,
        reads=reads,
        expiry=packet.expiry,
        **read_passed_on(packet.passed)._asdict(),
    )
