"""What a broker passes on, read and written."""

from broker.contract.message import Message
from broker.mqtt.passed_on import read_passed_on, write_passed_on
from broker.mqtt.properties import Property, pack


def test_what_a_message_says_is_read_back() -> None:
    message = Message(
        topic="a",
        payload=b"",
        response_topic="b",
        correlation=b"\0",
        content_type="text/plain",
        user_properties=(("b", ""), ("a", "ä"), ("b", "1")),
    )
    said = read_passed_on(write_passed_on(message))
    assert Message(topic="a", payload=b"", **said._asdict()) == message


def test_what_a_message_does_not_say_is_not_written() -> None:
    assert write_passed_on(Message(topic="a", payload=b"")) == b""
    assert read_passed_on(b"") == (None, None, None, ())


def test_what_a_message_has_no_field_for_is_passed_over() -> None:
    passed = pack({Property.PAYLOAD_FORMAT_INDICATOR: 1, Property.CONTENT_TYPE: "text/plain"})
    assert read_passed_on(passed) == (None, None, "text/plain", ())


def test_a_packet_full_of_user_properties_is_read_in_one_pass() -> None:
    """Taken up one by one into a tuple, these would hold the node up for hours."""
    properties = (("", ""),) * 800_000
    assert read_passed_on(pack({Property.USER_PROPERTY: properties})).user_properties == properties
