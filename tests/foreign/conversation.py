"""What every client of this room does, whatever it is written in, and what it has heard."""

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from broker.contract.message import UserProperties

Version = Literal[3, 5]
Transport = Literal["tcp", "websockets"]

TIMEOUT = 30.0


class Submission(msgspec.Struct, frozen=True):
    """What a client publishes with QoS 1; the last three are properties, sent with MQTT 5 alone."""

    topic: str
    payload: str
    response_topic: str
    correlation: str
    user_properties: UserProperties


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A client connects as `name`, subscribes, submits, and waits for an answer to each submission."""

    port: int
    version: Version
    transport: Transport
    name: str
    filter: str
    submissions: tuple[Submission, ...]


class Answer(msgspec.Struct, frozen=True):
    """A message that has come, as the client shows it."""

    topic: str
    payload: str
    content_type: str | None = None
    correlation: str | None = None
    user_properties: UserProperties = ()


class Acknowledged(msgspec.Struct, frozen=True):
    """A PUBACK: its reason, 0 with MQTT 3.1.1, and its reason string if the client shows that."""

    reason: int
    sentence: str | None = None


class Heard(msgspec.Struct, frozen=True):
    """Answers in the order in which they came, and an acknowledgement, if it is shown, of each submission."""

    answers: tuple[Answer, ...]
    acknowledged: tuple[Acknowledged | None, ...]


Converse = Callable[[Conversation], Awaitable[Heard]]
