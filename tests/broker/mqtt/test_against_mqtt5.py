"""Packets of MQTT 5 in both directions between us and `mqtt5`, which is written in Rust by somebody else."""

from typing import Any

import mqtt5
from hypothesis import given

from broker.mqtt import kinds
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import MAX_PACKET, V5
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
    Unsuback,
    Unsubscribe,
    Will,
)
from broker.mqtt.properties import Property, unpack
from broker.mqtt.writing import encode
from tests.broker.mqtt.strategies import connects, from_broker, from_client

ACKS: dict[int, tuple[Any, Any]] = {
    kinds.PUBACK: (mqtt5.PubAckPacket, mqtt5.PubAckReasonCode),
    kinds.PUBREC: (mqtt5.PubRecPacket, mqtt5.PubRecReasonCode),
    kinds.PUBREL: (mqtt5.PubRelPacket, mqtt5.PubRelReasonCode),
    kinds.PUBCOMP: (mqtt5.PubCompPacket, mqtt5.PubCompReasonCode),
}
UNKNOWN = {kinds.DISCONNECT: {0x8C}}
"""Reasons that the standard's table has, and `mqtt5` has not."""


def theirs(packet: Packet) -> Any:  # noqa: C901, PLR0911 - one case a type
    """The same packet as one of theirs."""
    match packet:
        case Connect():
            return mqtt5.ConnectPacket(
                packet.client_id,
                username=packet.username,
                password=packet.password,
                clean_start=packet.clean_start,
                will=None if packet.will is None else their_will(packet.will),
                keep_alive=packet.keepalive,
                session_expiry_interval=packet.session_expiry,
                authentication_method=packet.auth_method,
                authentication_data=packet.auth_data,
                request_problem_info=packet.request_problem,
                request_response_info=packet.request_response,
                receive_max=packet.receive_maximum,
                topic_alias_max=packet.topic_alias_maximum,
                max_packet_size=size(packet.maximum_packet),
                user_properties=list(packet.user_properties),
            )
        case Connack():
            return mqtt5.ConnAckPacket(
                session_present=packet.session_present,
                reason_code=code(mqtt5.ConnAckReasonCode, packet.reason),
                session_expiry_interval=packet.session_expiry,
                assigned_client_id=packet.client_id,
                server_keep_alive=packet.keepalive,
                reason_str=packet.reason_string,
                receive_max=packet.receive_maximum,
                topic_alias_max=packet.topic_alias_maximum,
                max_qos=code(mqtt5.QoS, packet.maximum_qos),
                retain_available=packet.retain_available,
                max_packet_size=size(packet.maximum_packet),
            )
        case Publish():
            return mqtt5.PublishPacket(
                packet.topic,
                packet.payload,
                qos=code(mqtt5.QoS, packet.qos),
                retain=packet.retain,
                packet_id=packet.packet_id or None,
                duplicate=packet.dup,
                message_expiry_interval=packet.expiry,
                subscription_ids=list(packet.subscription_ids),
                topic_alias=packet.alias or None,
                **passed(packet.passed),
            )
        case Ack():
            make, codes = ACKS[packet.kind]
            return make(
                packet.packet_id, reason_code=code(codes, packet.reason), reason_str=packet.reason_string
            )
        case Subscribe():
            wanted = [
                mqtt5.TopicFilter(
                    one.filter,
                    max_qos=code(mqtt5.QoS, one.qos),
                    no_local=one.no_local,
                    retain_as_published=one.retain_as_published,
                    retain_handling=code(mqtt5.RetainHandling, one.retain_handling),
                )
                for one in packet.wanted
            ]
            return mqtt5.SubscribePacket(
                packet.packet_id, wanted, subscription_id=packet.subscription_id or None
            )
        case Suback():
            subscribed = [code(mqtt5.SubAckReasonCode, one) for one in packet.codes]
            return mqtt5.SubAckPacket(packet.packet_id, subscribed, reason_str=packet.reason_string)
        case Unsubscribe():
            return mqtt5.UnsubscribePacket(packet.packet_id, list(packet.filters))
        case Unsuback():
            gone = [code(mqtt5.UnsubAckReasonCode, one) for one in packet.codes]
            return mqtt5.UnsubAckPacket(packet.packet_id, gone, reason_str=packet.reason_string)
        case Ping():
            return mqtt5.PingReqPacket()
        case Pong():
            return mqtt5.PingRespPacket()
        case Disconnect():
            return mqtt5.DisconnectPacket(
                reason_code=code(mqtt5.DisconnectReasonCode, packet.reason),
                session_expiry_interval=packet.session_expiry,
                reason_str=packet.reason_string,
            )
        case Auth():
            return mqtt5.AuthPacket(
                reason_code=code(mqtt5.AuthReasonCode, packet.reason),
                authentication_method=packet.method,
                authentication_data=packet.data,
                reason_str=packet.reason_string,
            )


def their_will(will: Will) -> mqtt5.Will:
    return mqtt5.Will(
        will.topic,
        payload=will.payload,
        qos=code(mqtt5.QoS, will.qos),
        retain=will.retain,
        message_expiry_interval=will.expiry,
        will_delay_interval=will.delay,
        **passed(will.passed),
    )


def passed(raw: bytes) -> dict[str, Any]:
    found = unpack(raw)
    return {
        "payload_format_indicator": found.get(Property.PAYLOAD_FORMAT_INDICATOR, 0),
        "content_type": found.get(Property.CONTENT_TYPE),
        "response_topic": found.get(Property.RESPONSE_TOPIC),
        "correlation_data": found.get(Property.CORRELATION_DATA),
        "user_properties": list(found.get(Property.USER_PROPERTY, ())),
    }


def size(bytes: int) -> int | None:
    return None if bytes == MAX_PACKET else bytes


def code(codes: Any, value: int) -> Any:
    return next(one for name in dir(codes) if name.isupper() and (one := getattr(codes, name)) == value)


def known(packet: Packet) -> bool:
    match packet:
        case Disconnect():
            return packet.reason not in UNKNOWN[kinds.DISCONNECT]
        # Mosquitto's bit for bridges is not the standard's.
        case Connect():
            return not packet.bridge
        # The shortest of all, with nothing in it, they do not read.
        case Auth():
            return packet != Auth()
    return True


def check(packet: Packet, framer: Framer) -> None:
    written = encode(packet, V5)
    read, end = mqtt5.read(memoryview(written))
    assert read == theirs(packet)
    assert end == len(written)
    (back,) = framer.feed(theirs(packet).write())
    # They may write what is passed on in another order, and leave out what is not said thereby.
    assert theirs(back) == theirs(packet)


@given(connects(V5).filter(known))
def test_a_connect(packet: Connect) -> None:
    check(packet, Framer())


@given(from_client(V5).filter(known))
def test_what_clients_send(packet: Packet) -> None:
    framer = Framer()
    list(framer.feed(encode(Connect(version=V5), V5)))
    check(packet, framer)


@given(from_broker(V5).filter(known))
def test_what_brokers_send(packet: Packet) -> None:
    check(packet, Framer(version=V5))
