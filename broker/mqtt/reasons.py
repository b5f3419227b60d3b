"""Why something was refused or ended: the codes of MQTT 5 and 3.1.1, and the words for people."""

from enum import IntEnum

from broker.errors import ProtocolError
from broker.mqtt.kinds import (
    AUTH,
    CONNACK,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
)


class Reason(IntEnum):
    """The reason codes of MQTT 5 (2.4). Of several names for one number, CONNACK's or PUBACK's is here."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL_MESSAGE = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


FAILURE = 0x80
"""Codes from here on say that something was refused, in a SUBACK of 3.1.1 too."""

_RECEIVED = frozenset((0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99))
_RELEASED = frozenset((0x00, 0x92))

CODES: dict[int, frozenset[int]] = {
    CONNACK: frozenset(
        (0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F)
    ),
    PUBACK: _RECEIVED,
    PUBREC: _RECEIVED,
    PUBREL: _RELEASED,
    PUBCOMP: _RELEASED,
    SUBACK: frozenset((0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2)),
    UNSUBACK: frozenset((0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91)),
    DISCONNECT: frozenset(
        (0x00, 0x04, *range(0x80, 0x84), 0x87, 0x89, 0x8B, *range(0x8C, 0x91), *range(0x93, 0xA3))
    ),
    AUTH: frozenset((0x00, 0x18, 0x19)),
}
"""The codes that may stand in each packet (MQTT 5, table 2-6, and the chapter on CONNACK)."""


_SEEN = frozenset(((PUBACK, Reason.PACKET_TOO_LARGE), (PUBREC, Reason.PACKET_TOO_LARGE)))
"""What the standard does not have, and Mosquitto 2.0 says of messages beyond its message_size_limit."""


def check_reason(code: int, packet: int) -> int:
    """Give the reason code back that a packet of this type has. Raises ProtocolError where it may not."""
    if code not in CODES[packet] and (packet, code) not in _SEEN:
        raise ProtocolError(f"packet type {packet} has the reason {code:#04x}", Reason.PROTOCOL_ERROR)
    return code


_RETURN_CODES = (
    Reason.SUCCESS,
    Reason.UNSUPPORTED_PROTOCOL_VERSION,
    Reason.CLIENT_IDENTIFIER_NOT_VALID,
    Reason.SERVER_UNAVAILABLE,
    Reason.BAD_USER_NAME_OR_PASSWORD,
    Reason.NOT_AUTHORIZED,
)
"""What the return codes of a CONNACK of 3.1 and 3.1.1 say (MQTT 3.1.1, table 3.1), from 0 on."""


def return_code(reason: int) -> int:
    """What a CONNACK of 3.1 or 3.1.1 says where one of MQTT 5 gives `reason`."""
    known = Reason(reason)
    return _RETURN_CODES.index(known if known in _RETURN_CODES else Reason.SERVER_UNAVAILABLE)


def reason_of(return_code: int) -> int:
    """What a return code of 3.1 or 3.1.1 means in MQTT 5; one that is not known there stands for itself."""
    return _RETURN_CODES[return_code] if return_code < len(_RETURN_CODES) else return_code


_WORDS = {
    Reason.NOT_AUTHORIZED: "not authorised",
    Reason.SERVER_UNAVAILABLE: "broker unavailable",
    Reason.SERVER_BUSY: "broker busy",
    Reason.SERVER_SHUTTING_DOWN: "broker is shutting down",
    Reason.SESSION_TAKEN_OVER: "another client has taken our name",
    Reason.ADMINISTRATIVE_ACTION: "ended by an administrator",
}


def reason_text(code: int) -> str:
    """A reason code for people."""
    try:
        reason = Reason(code)
    except ValueError:
        return f"reason {code:#04x}"
    return _WORDS.get(reason) or reason.name.lower().replace("_", " ")
