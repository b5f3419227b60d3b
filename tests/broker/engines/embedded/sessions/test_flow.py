"""How much a client of MQTT 5 is sent before it has acknowledged, and what its acknowledgements do."""

import pytest

from broker.engines.embedded import EmbeddedSettings
from broker.engines.embedded.sessions.late import OVERDUE
from broker.errors import ProtocolError
from broker.mqtt.kinds import PUBACK, PUBCOMP, PUBREC, PUBREL
from broker.mqtt.packets import Ack
from broker.mqtt.reasons import Reason
from tests.broker.engines.embedded.unconnected import Broker


def sent(broker: Broker, number: int, qos: int = 1) -> None:
    for one in range(number):
        broker.say("a", b"%d" % one, qos=qos)


@pytest.mark.parametrize(("most", "coming"), [(65_535, 4), (1, 1), (3, 3)])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("away", [True, False])
def test_no_more_is_sent_than_the_client_takes(most: int, coming: int, qos: int, away: bool) -> None:
    """Nor than the broker's window. All comes in order in the end."""
    broker = Broker(EmbeddedSettings(window=4))
    session, outlet = broker.connect5("me", receive_maximum=most)
    broker.subscribe(session, "a", qos)
    if away:
        broker.leave(session)
    sent(broker, 10, qos)
    if away:
        session, outlet = broker.connect5("me", receive_maximum=most)
    for done in range(10):
        assert len(outlet.publishes()) == min(10, coming + done)
        packet_id = outlet.publishes()[done].packet_id
        if qos == 2:
            session.acknowledged(PUBREC, packet_id)
            assert len(outlet.publishes()) == min(10, coming + done)
        session.acknowledged(PUBACK if qos == 1 else PUBCOMP, packet_id)
    assert outlet.payloads() == [b"%d" % one for one in range(10)]
    assert not list(session)


def test_what_is_sent_once_more_is_no_more_than_the_client_takes() -> None:
    """Which may be less than at its last connection. What it has received does not count; new ones wait."""
    broker = Broker()
    session, outlet = broker.connect5("me")
    broker.subscribe(session, "a")
    sent(broker, 6, qos=2)
    first, second, third = [one.packet_id for one in outlet.publishes()][:3]
    session.acknowledged(PUBREC, second)
    broker.leave(session)
    broker.say("a", b"new", qos=2)
    session, outlet = broker.connect5("me", receive_maximum=1)
    assert [(one.payload, one.packet_id, one.dup) for one in outlet.publishes()] == [(b"0", first, True)]
    # Cut off before it was through: the order stays.
    broker.leave(session)
    session, outlet = broker.connect5("me", receive_maximum=1)
    session.acknowledged(PUBREC, first, Reason.QUOTA_EXCEEDED)
    assert outlet.acks() == [Ack(PUBREL, second)]
    session.acknowledged(PUBCOMP, second)
    assert [one.packet_id for one in outlet.publishes()] == [first, third]
    while list(session):
        session.acknowledged(PUBREC, outlet.publishes()[-1].packet_id, Reason.QUOTA_EXCEEDED)
    assert outlet.payloads() == [b"0", b"2", b"3", b"4", b"5", b"new"]
    assert [one.dup for one in outlet.publishes()] == [True] * 5 + [False]


def test_a_pubrec_that_refuses_ends_the_exchange() -> None:
    """The identifier is free, nothing is released, and nothing comes again."""
    broker = Broker()
    session, outlet = broker.connect5("me", receive_maximum=1)
    broker.subscribe(session, "a")
    sent(broker, 2, qos=2)
    session.acknowledged(PUBREC, 1, Reason.UNSPECIFIED_ERROR)
    assert outlet.payloads() == [b"0", b"1"]
    assert outlet.acks() == []
    broker.leave(session)
    _, outlet = broker.connect5("me")
    assert outlet.payloads() == [b"1"]


def test_what_is_not_on_its_way_is_answered_as_such() -> None:
    """PUBREC has an answer in all versions, and a reason in MQTT 5; one that comes again has none."""
    broker = Broker()
    session, outlet = broker.connect5("me")
    old, old_outlet = broker.connect("old")
    for one in (session, old):
        broker.subscribe(one, "a")
    sent(broker, 1, qos=2)
    for one in (session, old):
        for packet_id in (1, 1, 9):
            one.acknowledged(PUBREC, packet_id)
        one.acknowledged(PUBACK, 9)
        one.acknowledged(PUBCOMP, 9)
    assert [(one.packet_id, one.reason) for one in outlet.acks()] == [(1, 0), (1, 0), (9, 0x92)]
    assert [(one.packet_id, one.reason) for one in old_outlet.acks()] == [(1, 0), (1, 0), (9, 0)]


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(("qos", "kinds"), [(1, (PUBREC, PUBCOMP)), (2, (PUBACK, PUBCOMP))])
def test_an_acknowledgement_of_the_wrong_kind_is_an_error(
    version: int, qos: int, kinds: tuple[int, ...]
) -> None:
    broker = Broker()
    session, _ = broker.connect("me") if version == 4 else broker.connect5("me")
    broker.subscribe(session, "a")
    sent(broker, 1, qos)
    for kind in kinds:
        with pytest.raises(ProtocolError):
            session.acknowledged(kind, 1)


def test_a_released_number_is_known_once() -> None:
    broker = Broker()
    session, _ = broker.connect5("me")
    session.heard(7, None)
    assert session.released(7)
    assert not session.released(7)


@pytest.mark.parametrize("most", [65_535, 5, 3, 2])
@pytest.mark.parametrize("kept", [20_000, 2], ids=["kept", "given up"])
def test_late_messages_let_no_more_pass_than_the_client_takes(most: int, kept: int) -> None:
    """Those that the broker has given up count, too: the client has them on its books."""
    broker = Broker(EmbeddedSettings(window=2, queue_messages=kept))
    session, outlet = broker.connect5("me", receive_maximum=most)
    broker.subscribe(session, "a")
    for number in range(8):
        broker.say("a", b"%d" % number)
        broker.now += OVERDUE + 1
        session.pass_over_late()
        assert len(outlet.publishes()) == min(most, number + 1)
    session.acknowledged(PUBACK, outlet.publishes()[-1].packet_id)
    assert len(outlet.publishes()) == min(most + 1, 8)


def test_what_is_sent_once_more_and_late_counts_for_what_the_client_takes() -> None:
    broker = Broker(EmbeddedSettings(window=4))
    session, outlet = broker.connect5("me")
    broker.subscribe(session, "a")
    sent(broker, 4)
    broker.leave(session)
    session, outlet = broker.connect5("me", receive_maximum=3)
    broker.say("a", b"new")
    broker.now = OVERDUE + 1
    assert session.pass_over_late() == 0
    assert outlet.payloads() == [b"0", b"1", b"2"]
    for done, came in ((1, b"3"), (2, b"new")):
        session.acknowledged(PUBACK, done)
        assert outlet.payloads()[-1] == came
    assert len(outlet.publishes()) == 5
