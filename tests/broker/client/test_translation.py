"""Messages become packets that are read back as the same messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.client import ClientSettings
from broker.client.translation import encode_message, to_connect
from broker.contract.message import Message
from broker.contract.url import BrokerUrl
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import MAX_PACKET, V5, V311
from broker.mqtt.messages import message_of
from broker.mqtt.packets import Connect, Packet, Publish, Will
from tests.broker.mqtt.strategies import PAIRS, TEXTS, TOPICS


@st.composite
def published(draw: st.DrawFn) -> tuple[Message, int]:
    qos = draw(st.integers(0, 2))
    message = Message(
        topic=draw(TOPICS),
        payload=draw(st.binary(max_size=300)),
        qos=qos,
        retain=draw(st.booleans()),
        response_topic=draw(st.none() | TOPICS),
        correlation=draw(st.none() | st.binary(max_size=40)),
        content_type=draw(st.none() | TEXTS),
        user_properties=draw(PAIRS),
        expiry=draw(st.none() | st.integers(1, 0xFFFF_FFFF)),
    )
    return message, draw(st.integers(1, 0xFFFF)) if qos else 0


def read(data: bytes, version: int) -> Publish:
    packets: list[Packet] = list(Framer(version=version).feed(data))
    (packet,) = packets
    assert isinstance(packet, Publish)
    return packet


@given(published())
def test_mqtt5_messages_are_read_back(sent: tuple[Message, int]) -> None:
    message, number = sent
    packet = read(encode_message(message, number, V5), V5)
    assert (message_of(packet, retain=packet.retain), packet.packet_id) == (message, number)


@given(published(), st.booleans())
def test_mqtt_3_messages_are_read_back_without_properties(sent: tuple[Message, int], dup: bool) -> None:
    message, number = sent
    again = dup and message.qos > 0
    packet = read(encode_message(message, number, V311, dup=again), V311)
    plain = Message(topic=message.topic, payload=message.payload, qos=message.qos, retain=message.retain)
    assert (message_of(packet, retain=packet.retain), packet.packet_id, packet.dup) == (plain, number, again)


@pytest.mark.parametrize(("life", "written"), [(0.0, 1), (0.4, 1), (7.6, 8)])
def test_a_life_is_written_in_whole_seconds_and_never_as_none(life: float, written: int) -> None:
    message = Message(topic="a", payload=b"", expiry=life)
    assert read(encode_message(message, 0, V5), V5).expiry == written


def test_a_client_introduces_itself_as_its_settings_say() -> None:
    will = Message(topic="w", payload=b"x", qos=1, retain=True)
    settings = ClientSettings(client_id="me", will=will, unstored=5, session_expiry=60)
    assert to_connect(BrokerUrl.parse("mqtt://u:p@h"), settings, V5) == Connect(
        version=V5,
        client_id="me",
        clean_start=False,
        keepalive=15,
        username="u",
        password=b"p",
        will=Will("w", b"x", 1, retain=True),
        session_expiry=60,
        receive_maximum=5,
        maximum_packet=MAX_PACKET,
    )
