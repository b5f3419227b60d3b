"""Sessions and routing by themselves: no event loop, and a clock that stands still until it is moved."""

import pytest

from broker.contract.identity import Identity, Role
from broker.engines.embedded import EmbeddedSettings
from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.routing.router import Sender
from broker.engines.embedded.sessions.grant import GRANTS, Grant
from broker.engines.embedded.sessions.late import OVERDUE
from broker.engines.embedded.sessions.names import session_name, user_of
from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.sessions.waiting import OVERHEAD
from broker.mqtt.kinds import PUBACK
from broker.mqtt.packets import Connect, Publish
from tests.broker.engines.embedded.unconnected import Broker, Outlet


@pytest.mark.parametrize("user", [None, "fog-b"])
def test_a_bridge_gets_nothing_back_that_it_has_sent(user: str | None) -> None:
    """Else two bridges that are users would pass each message to and fro for ever."""
    broker = Broker(EmbeddedSettings())
    bridge, to_bridge = broker.connect(session_name("bridge", user))
    other, to_other = broker.connect("other")
    broker.core.router.subscribe(bridge, "#", Grant.of(0, no_local=True, retain_as_published=True))
    broker.core.router.subscribe(other, "#", GRANTS[0])
    identity = None if user is None else Identity(user, Role.NODE)
    packet = Publish("a", b"x", qos=0, retain=False, packet_id=0)
    broker.core.router.take(packet, Sender("bridge", bridge.name, identity))
    assert (len(to_bridge.sent), len(to_other.sent)) == (0, 1)


def test_one_user_leaves_a_quarter_of_the_sessions_to_others() -> None:
    broker = Broker(EmbeddedSettings(sessions=4))
    for number in range(3):
        broker.connect(session_name(str(number), "greedy"))
    sessions = broker.core.sessions
    assert not sessions.has_room_for(session_name("3", "greedy"))
    assert sessions.has_room_for(session_name("0", "greedy"))
    assert sessions.has_room_for(session_name("0", "modest"))
    assert user_of(session_name("0", "modest")) == "modest"


def test_a_session_ends_when_its_client_stays_away_for_too_long() -> None:
    """With its subscriptions; that of a client which is there stays."""
    broker = Broker(EmbeddedSettings(session_expiry=10.0))
    core = broker.core
    away, outlet = broker.connect("away")
    core.router.subscribe(away, "a", GRANTS[1])
    broker.connect("here")
    core.sessions.close(away, outlet)
    broker.now = 10.0
    core.sessions.expire()
    assert len(core.sessions) == 2
    broker.now = 10.1
    core.sessions.expire()
    assert [session.name for session in core.sessions] == ["here"]
    assert core.router.subscriptions == 0
    assert core.counters.sessions_expired == 1


def stuck(broker: Broker, *, sent: int) -> tuple[Session, Outlet]:
    """A client that acknowledges nothing, with a window of two."""
    session, outlet = broker.connect("small")
    broker.core.router.subscribe(session, "a", GRANTS[1])
    for number in range(sent):
        broker.core.router.route(RoutedMessage("a", b"%d" % number, qos=1, born=0.0))
    return session, outlet


def test_what_a_client_never_acknowledges_does_not_keep_back_what_comes_after_it() -> None:
    """As PubSubClient does with packets that are larger than its buffer. It is kept for the next time."""
    broker = Broker(EmbeddedSettings(window=2))
    session, outlet = stuck(broker, sent=5)
    broker.now = OVERDUE
    assert session.pass_over_late() == 0
    assert outlet.payloads() == [b"0", b"1"]
    broker.now = OVERDUE + 0.1
    assert session.pass_over_late() == 2
    assert outlet.payloads() == [b"0", b"1", b"2", b"3"]
    assert session.pass_over_late() == 0
    # An acknowledgement that comes after all is heard.
    session.acknowledged(PUBACK, outlet.sent[1][6])
    session.acknowledged(PUBACK, outlet.sent[2][6])
    assert outlet.payloads()[4:] == [b"4"]
    again = Outlet()
    session.resume(again, Connect(version=4))
    assert again.payloads() == [b"0", b"3", b"4"]
    assert broker.core.counters.dropped == 0


def test_a_client_that_acknowledges_is_sent_no_more_than_the_window() -> None:
    broker = Broker(EmbeddedSettings(window=2))
    session, outlet = stuck(broker, sent=5)
    session.acknowledged(PUBACK, outlet.sent[0][6])
    session.acknowledged(PUBACK, outlet.sent[1][6])
    broker.now = 2 * OVERDUE
    session.acknowledged(PUBACK, outlet.sent[2][6])
    assert session.pass_over_late() == 1
    session.acknowledged(PUBACK, outlet.sent[3][6])
    assert outlet.payloads() == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(
    "settings",
    [
        EmbeddedSettings(window=2, queue_messages=3),
        EmbeddedSettings(window=2, queue_bytes=3 * (OVERHEAD + 1)),
    ],
)
def test_what_is_never_acknowledged_has_the_bounds_of_what_waits(settings: EmbeddedSettings) -> None:
    """The oldest goes first, and is counted."""
    broker = Broker(settings)
    session, outlet = stuck(broker, sent=2)
    for number in range(2, 12, 2):
        broker.now += OVERDUE + 1
        session.pass_over_late()
        for one in (number, number + 1):
            broker.core.router.route(RoutedMessage("a", b"%d" % one, qos=1, born=broker.now))
    assert len(outlet.payloads()) == 12
    assert broker.core.counters.dropped_full == 7
    again = Outlet()
    session.resume(again, Connect(version=4))
    assert again.payloads()[0] == b"7"


def test_a_connection_that_was_taken_over_closes_nobody_elses_session() -> None:
    broker = Broker(EmbeddedSettings())
    session, first = broker.connect("me", clean=True)
    session.resume(Outlet(), Connect(version=4))
    broker.core.sessions.close(session, first)
    assert broker.core.sessions.get("me") is session
