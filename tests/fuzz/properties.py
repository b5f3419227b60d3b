"""Properties of MQTT 5 packets for hostile sessions: right ones with odd values, and wrong ones. Seeded."""

import random

from tests.broker.engines.embedded.raw_properties import (
    ALIAS,
    ALIAS_MAXIMUM,
    CONTENT_TYPE,
    CORRELATION,
    MAXIMUM_PACKET,
    MESSAGE_EXPIRY,
    PAYLOAD_FORMAT,
    RECEIVE_MAXIMUM,
    REQUEST_PROBLEM,
    RESPONSE_TOPIC,
    SESSION_EXPIRY,
    SUBSCRIPTION_ID,
    USER_PROPERTY,
    WILL_DELAY,
    prop,
)

# Small, as what the bounds on a storm's memory were measured with: with 2 kB of them the node grew by 42 MiB
# in the first half, and by as little as ever in the second.
USERS = prop(USER_PROPERTY, ("traceparent", "00-\u202e")) + prop(USER_PROPERTY, ("", "x" * 200))

MESSAGES = (
    prop(PAYLOAD_FORMAT, 0),
    prop(MESSAGE_EXPIRY, 0),
    prop(CONTENT_TYPE, "application/json"),
    prop(RESPONSE_TOPIC, "fog/nodes/fog-a/state"),
    prop(CORRELATION, bytes(100)),
    USERS,
)
"""What a message may say of itself."""

PUBLISHES = (*MESSAGES, prop(ALIAS, 1))
WILLS = (*MESSAGES, prop(WILL_DELAY, 1))
CONNECTS = (
    prop(SESSION_EXPIRY, 1),
    prop(RECEIVE_MAXIMUM, 1),
    prop(MAXIMUM_PACKET, 20),
    prop(ALIAS_MAXIMUM, 0xFFFF),
    prop(REQUEST_PROBLEM, 0),
    USERS,
)
SUBSCRIBES = (prop(SUBSCRIPTION_ID, 268_435_455), USERS)

WRONG = (
    prop(CONTENT_TYPE, "a") * 2,
    prop(MESSAGE_EXPIRY, 1) * 2,
    prop(RESPONSE_TOPIC, "a/#"),
    prop(RESPONSE_TOPIC, ""),
    prop(ALIAS, 0),
    prop(ALIAS, 0xFFFF),
    prop(SUBSCRIPTION_ID, 0),
    prop(SUBSCRIPTION_ID, 1),
    prop(PAYLOAD_FORMAT, 2),
    prop(SESSION_EXPIRY, 1),
    prop(USER_PROPERTY, ("a\0", "b")),
    b"\x26\0\x01a\xff\xff",
    b"\x03\0\x09a",
    b"\x00",
    b"\x7f\x01",
    b"\x0b\xff\xff\xff\xff\xff",
)


def some(chance: random.Random, possible: tuple[bytes, ...]) -> bytes:
    """A few of them, each once, in whatever order."""
    return b"".join(chance.sample(possible, chance.choice((0, 0, 1, min(3, len(possible))))))
