"""Between messages, as the bus knows them, and what a PUBLISH carries. No I/O."""

from broker.contract.identity import Role
from broker.contract.message import Message
from broker.mqtt.packets import Publish
from broker.mqtt.properties import Property, pack, unpack

# An attribute of an enum costs as much as the rest of its use.
_CONTENT_TYPE, _RESPONSE_TOPIC = int(Property.CONTENT_TYPE), int(Property.RESPONSE_TOPIC)
_CORRELATION, _USER_PROPERTY = int(Property.CORRELATION_DATA), int(Property.USER_PROPERTY)


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
        response_topic=found.get(_RESPONSE_TOPIC),
        correlation=found.get(_CORRELATION),
        expiry=packet.expiry,
        content_type=found.get(_CONTENT_TYPE),
        user_properties=found.get(_USER_PROPERTY, ()),
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
            _CONTENT_TYPE: message.content_type,
            _RESPONSE_TOPIC: message.response_topic,
            _CORRELATION: message.correlation,
            _USER_PROPERTY: message.user_properties,
        }
    )


def expiry_of(message: Message) -> int | None:
    """The message expiry interval, in seconds: 0 is not "at once" but a message that nobody gets."""
    return None if message.expiry is None else max(1, round(message.expiry))
