"""Between the fields of a message that MQTT 5 adds, and the properties that a broker passes on. No I/O."""

from functools import lru_cache
from typing import NamedTuple

from broker.contract.message import Message, UserProperties
from broker.mqtt.properties import Property, pack, unpack

# An attribute of an enum costs as much as the rest of its use.
_RESPONSE_TOPIC, _CORRELATION = int(Property.RESPONSE_TOPIC), int(Property.CORRELATION_DATA)
_CONTENT_TYPE, _USER_PROPERTY = int(Property.CONTENT_TYPE), int(Property.USER_PROPERTY)


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
        found.get(_RESPONSE_TOPIC),
        found.get(_CORRELATION),
        found.get(_CONTENT_TYPE),
        found.get(_USER_PROPERTY, ()),
    )


def write_passed_on(message: Message) -> bytes:
    """Write what goes along with a PUBLISH, without the length before it."""
    typed = b"" if message.content_type is None else _content_type(message.content_type)
    if message.response_topic is None and message.correlation is None and not message.user_properties:
        return typed
    return typed + pack(
        {
            _RESPONSE_TOPIC: message.response_topic,
            _CORRELATION: message.correlation,
            _USER_PROPERTY: message.user_properties,
        }
    )


@lru_cache(maxsize=16)
def _content_type(text: str) -> bytes:
    # Nearly every message that a node sends has the same, and nothing else.
    return pack({_CONTENT_TYPE: text})
