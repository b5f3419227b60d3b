"""How messages are written for clients of MQTT 5."""

from typing import Any

import pytest

from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.sessions.writer import MOST_ALIASES, Writer
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import V5
from broker.mqtt.packets import Connect, Publish
from tests.broker.engines.embedded.unconnected import Broker

USER_PROPERTIES = bytes.fromhex("26000161000162 26000161000163")


def writer(now: float = 0.0, **said: int) -> Writer:
    return Writer(Connect(version=V5, **said), lambda: now)  # type: ignore[arg-type]


def message(topic: str = "a/b/c", payload: bytes = b"x", **more: object) -> RoutedMessage:
    return RoutedMessage(topic, payload, qos=2, born=0.0, **more)  # type: ignore[arg-type]


def read(*data: bytes | None) -> list[Publish]:
    found = Framer(version=V5).feed(b"".join(one for one in data if one is not None))
    return [one for one in found if isinstance(one, Publish)]


def test_clients_of_one_version_share_a_frame() -> None:
    one = message(passed=USER_PROPERTIES)
    first, second = writer().write(one), writer().write(one)
    assert first is second
    assert read(first) == [Publish("a/b/c", b"x", passed=USER_PROPERTIES)]
    assert one.frame() is one.frame()
    assert one.frame() != first


@pytest.mark.parametrize(("now", "left"), [(0.0, 10), (4.0, 6), (4.5, 6), (9.9, 1), (12.0, 0)])
def test_what_is_left_of_an_expiry_is_told(now: float, left: int) -> None:
    assert read(writer(now).write(message(expires=10.0))) == [Publish("a/b/c", b"x", expiry=left)]


def test_what_is_left_is_no_more_than_what_was_given() -> None:
    """However large the numbers are that times are counted in."""
    for number in range(1000):
        born = 1_795_887_404.0 + number / 999
        for expiry in (10, 0xFFFF_FFFF):
            (found,) = read(writer(born).write(message(expires=born + expiry)))
            assert found.expiry == expiry
    (found,) = read(writer().write(message(expires=1e12)))
    assert found.expiry == 0xFFFF_FFFF


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("more", [{}, {"passed": USER_PROPERTIES}, {"expires": 10.0}])
def test_nothing_larger_is_written_than_the_client_takes(qos: int, more: dict[str, Any]) -> None:
    one = message(**more)
    size = len(writer().write(one, qos=qos, packet_id=qos) or b"")
    assert writer(maximum_packet=size).write(one, qos=qos, packet_id=qos) is not None
    assert writer(maximum_packet=size - 1).write(one, qos=qos, packet_id=qos) is None


def test_topics_get_aliases_as_they_come() -> None:
    """Up to the client's maximum: the first time with the topic, then without it."""
    aliasing = writer(topic_alias_maximum=2)
    topics = ("one", "two", "three", "two", "one", "three")
    found = read(*(aliasing.write(message(topic), qos=1, packet_id=1) for topic in topics))
    assert [(one.topic, one.alias) for one in found] == [
        ("one", 1),
        ("two", 2),
        ("three", 0),
        ("", 2),
        ("", 1),
        ("three", 0),
    ]
    assert [(one.topic, one.alias) for one in read(writer().write(message("one")))] == [("one", 0)]


def test_aliases_take_a_bounded_room() -> None:
    """Whatever the client would take: the broker has to remember the topics."""
    aliasing = writer(topic_alias_maximum=65_535)
    found = read(*(aliasing.write(message(f"topic/{number}")) for number in range(MOST_ALIASES + 1)))
    assert [one.alias for one in found] == [*range(1, MOST_ALIASES + 1), 0]


def test_an_alias_is_never_too_much_for_the_client() -> None:
    """One that makes a packet too large is left out, and then stands for nothing."""
    size = len(writer().write(message("ab")) or b"")
    small = writer(topic_alias_maximum=1, maximum_packet=size)
    assert [
        (one.topic, one.alias) for one in read(small.write(message("ab")), small.write(message("ab")))
    ] == [
        ("ab", 0),
        ("ab", 0),
    ]
    first = len(writer(topic_alias_maximum=1).write(message("ab")) or b"")
    small = writer(topic_alias_maximum=1, maximum_packet=first)
    found = read(
        small.write(message("ab")), small.write(message("ab", b"xyz")), small.write(message("ab", b"x"))
    )
    assert [(one.topic, one.alias) for one in found] == [("ab", 1), ("", 1), ("", 1)]


def test_a_message_too_large_for_a_client_counts_as_delivered() -> None:
    """It waits for nothing, keeps nothing back, and is counted; others get it."""
    broker = Broker()
    session, outlet = broker.connect5("small", maximum_packet=20, receive_maximum=1)
    other, all_of_it = broker.connect5("large")
    broker.publish(Publish("a/r", bytes(20), qos=1, retain=True))
    for qos, one in ((2, session), (2, other), (0, session), (0, other)):
        broker.subscribe(one, f"a/{qos}", qos)
    for qos in (0, 2):
        broker.say(f"a/{qos}", bytes(20), qos=qos)
        broker.say(f"a/{qos}", b"small", qos=qos)
    assert outlet.payloads() == [b"small", b"small"]
    assert all_of_it.payloads() == [bytes(20), b"small"] * 2
    broker.subscribe(session, "a/r")
    broker.core.router.send_retained(session, "a/r")
    assert broker.core.counters.dropped_large == 2
    broker.leave(session)
    broker.say("a/2", bytes(20), qos=2)
    session, outlet = broker.connect5("small", maximum_packet=10)
    # The small one too, which had been sent before.
    assert outlet.sent == []
    assert not list(session)
    assert broker.core.counters.dropped_large == 5
