"""Between messages, as the bus knows them, and what a PUBLISH carries. No I/O."""

from broker.contract.identity import Role
from broker.contract.message import Message
from broker.mqtt.packets import Publish
from broker.mqtt.properties import Property, pack, unpack


def message_of(
    packet: Publish,
    *,
    retain: bool = False,
    client_id: str | None = None,
    user: str | None = None,
    role: Role | None = None,
) -> Message:
    """The message that a PUBLISH carries, and who is known to have published it."""
    topic, payload, qos = packet.topic, packet.payload, packet.qos
    if not packet.passed and packet.expiry is None:
        return Message(
            topic=topic, payload=payload, qos=qos, retain=retain, client_id=client_id, user=user, role=role
        )
    found = unpack(packet.passed)
    return Message(
        topic=topic,
        payload=payload,
        qos=qos,
        retain=retain,
        client_id=client_id,
        user=user,
        role=role,
        response_topic=found.get(Property.RESPONSE_TOPIC),
        correlation=found.get(Property.CORRELATION_DATA),
        expiry=packet.expiry,
        content_type=found.get(Property.CONTENT_TYPE),
        user_properties=found.get(Property.USER_PROPERTY, ()),
    )


def passed_by(message: Message) -> bytes:
    """The properties that go on to subscribers with a message, packed."""
    if (
        message.content_type is None
        and message.response_topic is None
        and message.correlation is None
        and not message.user_properties
    ):
        return b""
    return pack(
        {
            Property.CONTENT_TYPE: message.content_type,
            Property.RESPONSE_TOPIC: message.response_topic,
            Property.CORRELATION_DATA: message.correlation,
            Property.USER_PROPERTY: message.user_properties,
        }
    )


def expiry_of(message: Message) -> int | None:
    """The message expiry interval, in seconds: 0 is not "at once" but a message that nobody gets."""
    return None if message.expiry is None else max(1, round(message.expiry))
