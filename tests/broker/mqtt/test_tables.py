"""Our tables of properties and reason codes beside those of paho and `mqtt5`."""

from collections import defaultdict
from enum import IntEnum
from typing import Any

import mqtt5
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode

from broker.mqtt import kinds, properties
from broker.mqtt.properties import BYTE, DATA, FOUR, LENGTH, PAIR, TABLE, TEXT, TWO, WILL, Property
from broker.mqtt.reasons import CODES, Reason, reason_of, reason_text, return_code

PAHOS: Any = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
PAHO_REASONS: Any = ReasonCode(PacketTypes.CONNACK).names
FORMS = {
    "Byte": BYTE,
    "Two Byte Integer": TWO,
    "Four Byte Integer": FOUR,
    "Variable Byte Integer": LENGTH,
    "Binary Data": DATA,
    "UTF-8 Encoded String": TEXT,
    "UTF-8 String Pair": PAIR,
}
MQTT5S: dict[int, type[IntEnum]] = {
    kinds.CONNACK: mqtt5.ConnAckReasonCode,
    kinds.PUBACK: mqtt5.PubAckReasonCode,
    kinds.PUBREC: mqtt5.PubRecReasonCode,
    kinds.PUBREL: mqtt5.PubRelReasonCode,
    kinds.PUBCOMP: mqtt5.PubCompReasonCode,
    kinds.SUBACK: mqtt5.SubAckReasonCode,
    kinds.UNSUBACK: mqtt5.UnsubAckReasonCode,
    kinds.DISCONNECT: mqtt5.DisconnectReasonCode,
    kinds.AUTH: mqtt5.AuthReasonCode,
}


def test_there_are_all_27_properties() -> None:
    assert set(TABLE) == set(Property) == set(PAHOS.properties)
    assert len(TABLE) == 27


@pytest.mark.parametrize("kind", Property)
def test_a_property_is_what_paho_takes_it_for(kind: Property) -> None:
    number, packets = PAHOS.properties[kind]
    assert TABLE[kind].form is FORMS[PAHOS.types[number]]
    assert TABLE[kind].packets == {WILL if one == PacketTypes.WILLMESSAGE else one for one in packets}
    words = {name.replace(" ", "_").upper() for name, value in PAHOS.names.items() if value == kind}
    assert kind.name in words


def test_what_may_repeat() -> None:
    """A user property anywhere, and the subscriptions that a message belongs to."""
    repeating = {kind: rule.repeats for kind, rule in TABLE.items() if rule.repeats}
    assert repeating == {
        Property.USER_PROPERTY: TABLE[Property.USER_PROPERTY].packets,
        Property.SUBSCRIPTION_IDENTIFIER: {kinds.PUBLISH},
    }


def test_what_is_passed_on_belongs_to_a_message_and_its_will() -> None:
    """All but what a broker writes anew for each that gets it."""
    of_messages = {kind for kind, rule in TABLE.items() if {kinds.PUBLISH, WILL} <= rule.packets}
    assert of_messages - properties.PASSED_ON == {Property.MESSAGE_EXPIRY_INTERVAL}
    assert of_messages > properties.PASSED_ON


def reasons_of_mqtt5() -> dict[int, set[int]]:
    # They are called enums and can be gone through by name alone.
    return {
        kind: {int(getattr(codes, name)) for name in dir(codes) if name.isupper()}
        for kind, codes in MQTT5S.items()
    }


def reasons_of_paho() -> dict[int, set[int]]:
    found = defaultdict(set)
    for code, meanings in PAHO_REASONS.items():
        for packets in meanings.values():
            for packet in packets:
                found[packet].add(code)
    return found


@pytest.mark.parametrize("kind", CODES)
def test_a_packet_has_the_reasons_that_others_know(kind: int) -> None:
    """The standard's own table and chapters differ in two: 0x99 in CONNACK, and 0x8C in DISCONNECT."""
    ours, paho, rust = CODES[kind], reasons_of_paho()[kind], reasons_of_mqtt5()[kind]
    assert ours == paho | rust
    assert paho ^ rust == {kinds.CONNACK: {0x99}, kinds.DISCONNECT: {0x8C}}.get(kind, set())


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_its_name_from_the_standard(reason: Reason) -> None:
    pahos = {name.replace(" ", "_").replace("-", "_").upper() for name in PAHO_REASONS[reason]}
    assert reason.name in pahos or any(
        getattr(codes, reason.name, None) == reason for codes in MQTT5S.values()
    )


@pytest.mark.parametrize("code", range(6))
def test_a_return_code_is_a_reason_and_back(code: int) -> None:
    assert return_code(reason_of(code)) == code


@pytest.mark.parametrize("reason", sorted(CODES[kinds.CONNACK] - {0}))
def test_any_refusal_has_a_return_code(reason: int) -> None:
    assert 1 <= return_code(reason) <= 5


def test_reasons_are_told_to_people() -> None:
    assert reason_text(0x8E) == "another client has taken our name"
    assert reason_text(0x84) == "unsupported protocol version"
    assert reason_text(0x77) == "reason 0x77"
