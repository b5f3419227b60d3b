"""Between the fields of a message that MQTT 5 adds, and the properties that a broker passes on. No I/O."""

from functools import lru_cache
from typing import NamedTuple

from broker.contract.message import Message, UserProperties
from broker.mqtt.properties import Property, pack, unpack


class PassedOn(NamedTuple):
    """What properties that are passed on say, by the names that a Message has for it."""

    response_topic: str | None
    correlation: bytes | None
    content_type: str | None
    user_properties: UserProperties


def read_passed_on(passed: bytes) -> PassedOn:
    """Read what came with a PUBLISH."""
    found = unpack(passed)
    return PassedOn(
        found.get(Property.RESPONSE_TOPIC),
        found.get(Property.CORRELATION_DATA),
        found.get(Property.CONTENT_TYPE),
        found.get(Property.USER_PROPERTY, ()),
    )


def write_passed_on(message: Message) -> bytes:
    """Write what goes along with a PUBLISH, without the length before it."""
    typed = b"" if message.content_type is None else _content_type(message.content_type)
    if message.response_topic is None and message.correlation is None and not message.user_properties:
        return typed
    return typed + pack(
        {
            Property.RESPONSE_TOPIC: message.response_topic,
            Property.CORRELATION_DATA: message.correlation,
            Property.USER_PROPERTY: message.user_properties,
        }
    )


@lru_cache(maxsize=16)
def _content_type(text: str) -> bytes:
    # Nearly every message that a node sends has the same, and nothing else.
    return pack({Property.CONTENT_TYPE: text})
