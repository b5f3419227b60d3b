"""Any packet, as hypothesis draws it: whatever its version has."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from broker.mqtt.kinds import MAX_PACKET, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBACK, UNSUBACK, V5, V31, VERSIONS
from broker.mqtt.packets import (
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Ping,
    Pong,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from broker.mqtt.properties import Property, pack
from broker.mqtt.reasons import CODES, reason_of

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), max_size=20)
TOPICS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"], exclude_characters="+#"),
    min_size=1,
    max_size=20,
)
FILTERS = TOPICS | st.sampled_from(["#", "+", "a/#", "+/b/+", "/", "$share/g/a/#"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
DATA = st.binary(max_size=30)
QOS, FLAGS = st.integers(0, 2), st.booleans()
TWO, POSITIVE, FOUR = st.integers(0, 0xFFFF), st.integers(1, 0xFFFF), st.integers(0, 0xFFFF_FFFF)
SIZES = st.integers(1, MAX_PACKET)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple)

PASSED = st.fixed_dictionaries(
    {},
    optional={
        int(Property.PAYLOAD_FORMAT_INDICATOR): st.integers(0, 1),
        int(Property.CONTENT_TYPE): TEXTS,
        int(Property.RESPONSE_TOPIC): TOPICS,
        int(Property.CORRELATION_DATA): DATA,
        int(Property.USER_PROPERTY): PAIRS,
    },
).map(pack)


@dataclass(frozen=True)
class Kind:
    """The packets of one type: what they hold in all versions, and what in MQTT 5 alone."""

    make: Any
    common: dict[str, st.SearchStrategy[Any]]
    rich: dict[str, st.SearchStrategy[Any]]

    def draw(self, version: int) -> st.SearchStrategy[Any]:
        return st.builds(self.make, **self.common, **(self.rich if version == V5 else {}))


def _reasons(kind: int) -> st.SearchStrategy[int]:
    return st.sampled_from(sorted(CODES[kind]))


_WILL = Kind(
    Will,
    {"topic": TOPICS, "payload": DATA, "qos": QOS, "retain": FLAGS},
    {"delay": FOUR, "expiry": st.none() | FOUR, "passed": PASSED},
)
_CONNECT_5 = {
    "session_expiry": FOUR,
    "receive_maximum": POSITIVE,
    "maximum_packet": SIZES,
    "topic_alias_maximum": TWO,
    "request_problem": FLAGS,
    "request_response": FLAGS,
    "auth_method": st.none() | TEXTS,
    "user_properties": PAIRS,
}


def connects(version: int) -> st.SearchStrategy[Connect]:
    """CONNECT; before MQTT 5 a password needs a user."""

    def allowed(packet: Connect) -> Connect:
        if version == V5 or packet.username is not None:
            return packet
        return replace(packet, password=None)

    common = {
        "version": st.just(version),
        "client_id": NAMES,
        "clean_start": FLAGS,
        "keepalive": TWO,
        "username": st.none() | NAMES,
        "password": st.none() | DATA,
        "will": st.none() | _WILL.draw(version),
        "bridge": FLAGS,
    }
    return Kind(Connect, common, _CONNECT_5).draw(version).map(allowed)


def publishes(version: int) -> st.SearchStrategy[Publish]:
    """PUBLISH: a number only with QoS 1 and 2, and an empty topic only with an alias."""

    def rest(qos: int) -> st.SearchStrategy[Publish]:
        head = {"qos": st.just(qos), "retain": FLAGS, "payload": st.binary(max_size=300)}
        head |= {"dup": FLAGS, "packet_id": POSITIVE} if qos else {}
        if version != V5:
            return st.builds(Publish, topic=TOPICS, **head)
        rich: dict[str, st.SearchStrategy[Any]] = {
            "expiry": st.none() | FOUR,
            "subscription_ids": st.lists(st.integers(1, 0x0FFF_FFFF), max_size=3).map(tuple),
            "passed": PASSED,
        }
        named = st.builds(Publish, topic=TOPICS, alias=TWO, **head, **rich)
        return named | st.builds(Publish, topic=st.just(""), alias=POSITIVE, **head, **rich)

    return QOS.flatmap(rest)


_SUBSCRIPTION = Kind(
    Subscription,
    {"filter": FILTERS, "qos": QOS},
    {"no_local": FLAGS, "retain_as_published": FLAGS, "retain_handling": QOS},
)
_ACKS = st.sampled_from([PUBACK, PUBREC, PUBREL, PUBCOMP])
_SENTENCE = st.none() | TEXTS


def acks(version: int) -> st.SearchStrategy[Ack]:
    """The four acknowledgements."""
    if version != V5:
        return st.builds(Ack, kind=_ACKS, packet_id=POSITIVE)
    return _ACKS.flatmap(
        lambda kind: st.builds(
            Ack, kind=st.just(kind), packet_id=POSITIVE, reason=_reasons(kind), reason_string=_SENTENCE
        )
    )


def from_client(version: int) -> st.SearchStrategy[Packet]:
    """What follows a CONNECT."""
    wanted = _SUBSCRIPTION.draw(version).filter(
        lambda one: not (one.no_local and one.filter.startswith("$share/"))
    )
    return st.one_of(
        publishes(version),
        acks(version),
        Kind(
            Subscribe,
            {"packet_id": POSITIVE, "wanted": st.lists(wanted, min_size=1, max_size=4).map(tuple)},
            {"subscription_id": st.integers(0, 0x0FFF_FFFF)},
        ).draw(version),
        st.builds(
            Unsubscribe, packet_id=POSITIVE, filters=st.lists(FILTERS, min_size=1, max_size=4).map(tuple)
        ),
        st.just(Ping()),
        disconnects(version),
        *auths(version),
    )


def from_broker(version: int) -> st.SearchStrategy[Packet]:
    """What a broker sends."""
    codes = (
        st.lists(_reasons(SUBACK), max_size=5)
        if version == V5
        else st.lists(st.sampled_from([0, 1, 2, 0x80]))
    )
    return st.one_of(
        connacks(version),
        publishes(version),
        acks(version),
        Kind(Suback, {"packet_id": POSITIVE, "codes": codes.map(bytes)}, {"reason_string": _SENTENCE}).draw(
            version
        ),
        Kind(
            Unsuback,
            {"packet_id": POSITIVE},
            {"codes": st.lists(_reasons(UNSUBACK), max_size=5).map(bytes), "reason_string": _SENTENCE},
        ).draw(version),
        st.just(Pong()),
        *([disconnects(version)] if version == V5 else []),
        *auths(version),
    )


def connacks(version: int) -> st.SearchStrategy[Connack]:
    """CONNACK; those of old have six reasons."""
    if version != V5:
        present = st.just(value=False) if version == V31 else FLAGS
        return st.builds(Connack, reason=st.integers(0, 5).map(reason_of), session_present=present)
    return st.builds(
        Connack,
        reason=_reasons(2),
        session_present=FLAGS,
        session_expiry=st.none() | FOUR,
        receive_maximum=POSITIVE,
        maximum_qos=QOS,
        retain_available=FLAGS,
        maximum_packet=SIZES,
        client_id=st.none() | TEXTS,
        topic_alias_maximum=TWO,
        reason_string=_SENTENCE,
        keepalive=st.none() | TWO,
    )


def disconnects(version: int) -> st.SearchStrategy[Disconnect]:
    """DISCONNECT; only in MQTT 5 it says anything."""
    if version != V5:
        return st.just(Disconnect())
    return st.builds(
        Disconnect, reason=_reasons(14), session_expiry=st.none() | FOUR, reason_string=_SENTENCE
    )


def auths(version: int) -> list[st.SearchStrategy[Auth]]:
    """AUTH, which MQTT 5 alone has."""
    if version != V5:
        return []
    return [
        st.just(Auth()),
        st.builds(Auth, reason=_reasons(15), method=TEXTS, data=st.none() | DATA, reason_string=_SENTENCE),
    ]


VERSION = st.sampled_from(VERSIONS)
