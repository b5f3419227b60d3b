"""MQTT 3.1.1 packets as values, and how a broker writes them. The only module that imports amqtt.

Of amqtt these are used: the packet types, the fixed header and the packets that a broker writes
once for each connection or subscription. Its reading is not: it awaits each field by itself, takes a
truncated field as absent and text that is not UTF-8 as its repr (decoding.py reads
instead). Its PUBLISH and acknowledgements are not: they cost several objects a message. Its listeners
and stream adapters are not: they buffer without a bound and need a task for each connection.
"""

from amqtt.mqtt import packet as mqtt
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.suback import SubackPacket, SubackPayload
from amqtt.mqtt.unsuback import UnsubackPacket
from msgspec import Struct

from broker.errors import ProtocolError

CONNECT: int = mqtt.CONNECT
PUBLISH: int = mqtt.PUBLISH
PUBACK: int = mqtt.PUBACK
PUBREC: int = mqtt.PUBREC
PUBREL: int = mqtt.PUBREL
PUBCOMP: int = mqtt.PUBCOMP
SUBSCRIBE: int = mqtt.SUBSCRIBE
UNSUBSCRIBE: int = mqtt.UNSUBSCRIBE
PINGREQ: int = mqtt.PINGREQ
PINGRESP: int = mqtt.PINGRESP
DISCONNECT: int = mqtt.DISCONNECT

ACCEPTED, REFUSED_VERSION, REFUSED_IDENTIFIER, REFUSED_UNAVAILABLE, REFUSED_LOGIN, REFUSED_RIGHTS = range(6)
"""The return codes of CONNACK (MQTT 3.1.1, table 3.1)."""

FAILURE = 0x80
"""The return code of SUBACK for a subscription that was not made."""

REFUSAL_OF_MQTT5 = bytes((0x20, 3, 0, 0x84, 0))
"""An MQTT 5 CONNACK, no session, reason 0x84 (unsupported protocol version), no properties."""

PING_ANSWER: bytes = mqtt.MQTTFixedHeader(PINGRESP).to_bytes()


class UnsupportedVersion(ProtocolError):
    """Raised by a CONNECT of another protocol version; `level` is the one asked for."""

    def __init__(self, level: int) -> None:
        spoken = "MQTT 5" if level == 5 else f"protocol level {level}"
        super().__init__(f"{spoken} is not spoken here; set the client to MQTT 3.1.1")
        self.level = level


# msgspec makes and frees these several times faster than a dataclass; one is made for each packet.
class Publish(Struct, frozen=True, gc=False):
    """A PUBLISH; `packet_id` is 0 with QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool = False
    packet_id: int = 0


class Connect(Struct, frozen=True):
    """A CONNECT. `will` has the QoS and retain flag it is to be published with.

    A `bridge` is another broker: it keeps retain flags and does not want its own messages back.
    """

    client_id: str
    clean: bool
    keepalive: int
    username: str | None = None
    password: bytes | None = None
    will: Publish | None = None
    bridge: bool = False


class Ack(Struct, frozen=True, gc=False):
    """A PUBACK, PUBREC, PUBREL or PUBCOMP, told apart by `kind`."""

    kind: int
    packet_id: int


class Subscribe(Struct, frozen=True):
    """A SUBSCRIBE: filters with the QoS asked for."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


class Unsubscribe(Struct, frozen=True):
    """An UNSUBSCRIBE."""

    packet_id: int
    filters: tuple[str, ...]


class Ping(Struct, frozen=True):
    """A PINGREQ."""


class Disconnect(Struct, frozen=True):
    """A DISCONNECT: the client leaves, and its will with it."""


Packet = Connect | Publish | Ack | Subscribe | Unsubscribe | Ping | Disconnect


def encode_text(text: str) -> bytes:
    """Write a text with its length before it."""
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def encode_publish(
    topic: bytes, payload: bytes, *, qos: int, retain: bool = False, dup: bool = False, packet_id: int = 0
) -> bytes:
    """Write a PUBLISH; `topic` is encoded already, since it goes to many."""
    first = PUBLISH << 4 | dup << 3 | qos << 1 | retain
    length = len(topic) + len(payload)
    if qos:
        middle = packet_id.to_bytes(2, "big")
        return b"".join((_header(first, length + 2), topic, middle, payload))
    return b"".join((_header(first, length), topic, payload))


def encode_ack(kind: int, packet_id: int) -> bytes:
    """Write a PUBACK, PUBREC, PUBREL or PUBCOMP."""
    first = kind << 4 | (0x02 if kind == PUBREL else 0)
    return bytes((first, 2, packet_id >> 8, packet_id & 0xFF))


def encode_connack(code: int, *, session_present: bool = False) -> bytes:
    """Write a CONNACK."""
    return bytes(ConnackPacket.build(int(session_present), code).to_bytes())


def encode_suback(packet_id: int, codes: list[int]) -> bytes:
    """Write a SUBACK."""
    return bytes(SubackPacket(None, mqtt.PacketIdVariableHeader(packet_id), SubackPayload(codes)).to_bytes())


def encode_unsuback(packet_id: int) -> bytes:
    """Write an UNSUBACK."""
    return bytes(UnsubackPacket.build(packet_id).to_bytes())


def _header(first: int, length: int) -> bytes:
    if length < 0x80:
        return bytes((first, length))
    encoded = bytearray((first,))
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)
