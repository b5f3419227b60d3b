"""MQTT's packets as values, for all versions; what a version does not have stands at its default."""

from msgspec import Struct

from broker.mqtt.kinds import MAX_PACKET

# msgspec makes and frees these several times faster than a dataclass; one is made for each packet. Those
# without gc hold texts, numbers, bytes and tuples of these: nothing that could come round to themselves.


class Will(Struct, frozen=True, gc=False):
    """What is to be published when its client is lost; `expiry` and `passed` as in Publish."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    delay: int = 0
    expiry: int | None = None
    passed: bytes = b""


class Connect(Struct, frozen=True, kw_only=True):
    """A CONNECT. In 3.1 and 3.1.1 `clean_start` says that the session ends with the connection, too.

    A `bridge` is another broker: it keeps retain flags and does not want its own messages back.
    """

    version: int
    client_id: str = ""
    clean_start: bool = True
    keepalive: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    bridge: bool = False
    session_expiry: int = 0
    receive_maximum: int = 0xFFFF
    maximum_packet: int = MAX_PACKET
    topic_alias_maximum: int = 0
    request_problem: bool = True
    request_response: bool = False
    auth_method: str | None = None
    auth_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


class Connack(Struct, frozen=True, gc=False):
    """A CONNACK. `reason` is MQTT 5's in all versions; the others have a number for the most usual ones.

    `keepalive`, `session_expiry` and `client_id` are None where what the client has said stands.
    """

    reason: int = 0
    session_present: bool = False
    session_expiry: int | None = None
    receive_maximum: int = 0xFFFF
    maximum_qos: int = 2
    retain_available: bool = True
    maximum_packet: int = MAX_PACKET
    client_id: str | None = None
    topic_alias_maximum: int = 0
    reason_string: str | None = None
    keepalive: int | None = None
    subscription_ids: bool = True


class Publish(Struct, frozen=True, gc=False):
    """A PUBLISH; `packet_id` is 0 with QoS 0. With an `alias` (0: none) the topic may be empty.

    `expiry` is in seconds. `passed` are the properties that a broker passes on, as the bytes they came in;
    `properties.unpack` reads them.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    expiry: int | None = None
    alias: int = 0
    subscription_ids: tuple[int, ...] = ()
    passed: bytes = b""


class Ack(Struct, frozen=True, gc=False):
    """A PUBACK, PUBREC, PUBREL or PUBCOMP, told apart by `kind`."""

    kind: int
    packet_id: int
    reason: int = 0
    reason_string: str | None = None


class Subscription(Struct, frozen=True, gc=False):
    """A filter in a SUBSCRIBE, and how its messages are wanted."""

    filter: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(Struct, frozen=True, gc=False):
    """A SUBSCRIBE; `subscription_id` is 0 where there is none."""

    packet_id: int
    wanted: tuple[Subscription, ...]
    subscription_id: int = 0


class Suback(Struct, frozen=True, gc=False):
    """A SUBACK: a code for each filter, in their order."""

    packet_id: int
    codes: bytes
    reason_string: str | None = None


class Unsubscribe(Struct, frozen=True, gc=False):
    """An UNSUBSCRIBE."""

    packet_id: int
    filters: tuple[str, ...]


class Unsuback(Struct, frozen=True, gc=False):
    """An UNSUBACK: in MQTT 5 a code for each filter, in their order."""

    packet_id: int
    codes: bytes = b""
    reason_string: str | None = None


class Ping(Struct, frozen=True, gc=False):
    """A PINGREQ."""


class Pong(Struct, frozen=True, gc=False):
    """A PINGRESP."""


class Disconnect(Struct, frozen=True, gc=False):
    """A DISCONNECT; `session_expiry` is None where it stays as it is."""

    reason: int = 0
    session_expiry: int | None = None
    reason_string: str | None = None


class Auth(Struct, frozen=True, gc=False):
    """An AUTH."""

    reason: int = 0
    method: str | None = None
    data: bytes | None = None
    reason_string: str | None = None


Packet = (
    Connect
    | Connack
    | Publish
    | Ack
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Ping
    | Pong
    | Disconnect
    | Auth
)
