"""The packets that a broker sends to a client, as values, and the words for what goes wrong."""

from msgspec import Struct

from broker.contract.message import Message

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(9, 15)

FAILURE = 0x80
"""Reason codes from here on, and return codes of a SUBACK, say that something was refused."""

MAX_PACKET = 5 + 0x0FFF_FFFF
"""Bytes of the largest packet that MQTT can carry."""

TAKEN_OVER = 0x8E
"""The reason of a DISCONNECT of MQTT 5: another client has connected under our identifier."""

FINAL = frozenset((0x87, 0x90, 0x99))
"""Reasons of a PUBACK or PUBREC that are as good tomorrow: not authorised, topic name, payload format."""

_REASONS = {
    0x01: "unacceptable protocol version",
    0x02: "client identifier rejected",
    0x03: "broker unavailable",
    0x04: "bad user name or password",
    0x05: "not authorised",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x84: "unsupported protocol version",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorised",
    0x88: "broker unavailable",
    0x89: "broker busy",
    0x8A: "banned",
    0x8B: "broker is shutting down",
    0x8D: "keepalive timeout",
    TAKEN_OVER: "another client has taken our name",
    0x90: "topic name invalid",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "ended by an administrator",
    0x99: "payload format invalid",
}


def reason_text(code: int) -> str:
    """A reason code of MQTT 5, or a return code of a 3.1.1 CONNACK, for people."""
    return _REASONS.get(code, f"reason {code:#04x}")


class Connack(Struct, frozen=True):
    """A CONNACK: the session, and with MQTT 5 the broker's limits. `keepalive` is None where ours stands."""

    reason: int
    session_present: bool = False
    receive_maximum: int = 0xFFFF
    max_packet: int = MAX_PACKET
    keepalive: int | None = None


class Publish(Struct, frozen=True):
    """A PUBLISH; `packet_id` is 0 with QoS 0."""

    message: Message
    packet_id: int


class Ack(Struct, frozen=True, gc=False):
    """A PUBACK, PUBREC, PUBREL or PUBCOMP, told apart by `kind`."""

    kind: int
    packet_id: int
    reason: int = 0


class Suback(Struct, frozen=True, gc=False):
    """A SUBACK: a code for each filter, in their order."""

    codes: bytes


class Unsuback(Struct, frozen=True, gc=False):
    """An UNSUBACK."""


class Pong(Struct, frozen=True, gc=False):
    """A PINGRESP."""


class Disconnect(Struct, frozen=True, gc=False):
    """An MQTT 5 DISCONNECT: the broker says why it closes the connection."""

    reason: int


Packet = Connack | Publish | Ack | Suback | Unsuback | Pong | Disconnect
