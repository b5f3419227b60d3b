"""What the options and identifiers of MQTT 5's subscriptions do."""

import pytest

from broker.engines.embedded import EmbeddedSettings
from broker.engines.embedded.sessions.grant import Grant
from broker.mqtt.packets import Publish
from broker.mqtt.reasons import Reason
from tests.broker.engines.embedded.unconnected import Broker


def grant(
    qos: int = 2, *, no_local: bool = False, retain_as_published: bool = False, identifier: int = 0
) -> Grant:
    return Grant.of(qos, no_local=no_local, retain_as_published=retain_as_published, identifier=identifier)


def test_overlapping_filters_bring_one_copy_with_all_identifiers() -> None:
    """And the highest QoS; a group's copy is one of its own."""
    broker = Broker()
    session, outlet = broker.connect5("me")
    broker.subscribe(session, "a/b", grant(0, identifier=1))
    broker.subscribe(session, "a/+", grant(2, identifier=268_435_455))
    broker.subscribe(session, "#", grant(1))
    broker.subscribe(session, "$share/g/a/b", grant(1, identifier=3))
    broker.say("a/b", b"x", qos=2)
    assert sorted((one.qos, sorted(one.subscription_ids)) for one in outlet.publishes()) == [
        (1, [3]),
        (2, [1, 268_435_455]),
    ]


@pytest.mark.parametrize("away", [True, False])
def test_no_local_keeps_ones_own_messages_away(away: bool) -> None:
    """Those of an earlier connection too; what another filter asks for comes all the same."""
    broker = Broker()
    session, outlet = broker.connect5("me")
    broker.subscribe(session, "a/+", grant(no_local=True, identifier=1))
    broker.subscribe(session, "a/b", grant(1, identifier=2))
    if away:
        broker.leave(session)
    for sender in ("me", "other"):
        broker.publish(Publish("a/a", sender.encode(), qos=2), sender)
        broker.publish(Publish("a/b", sender.encode(), qos=2), sender)
    if away:
        _, outlet = broker.connect5("me")
    assert [
        (one.topic, one.payload, one.qos, sorted(one.subscription_ids)) for one in outlet.publishes()
    ] == [
        ("a/b", b"me", 1, [2]),
        ("a/a", b"other", 2, [1]),
        ("a/b", b"other", 2, [1, 2]),
    ]


@pytest.mark.parametrize("as_published", [True, False])
@pytest.mark.parametrize("qos", [0, 1])
def test_retain_as_published_decides_on_the_flag(as_published: bool, qos: int) -> None:
    """What was retained before has it in any case."""
    broker = Broker()
    session, outlet = broker.connect5("me")
    old, old_outlet = broker.connect("old")
    for one in (session, old):
        broker.subscribe(one, "a", grant(qos, retain_as_published=as_published))
    for retain in (True, False):
        broker.publish(Publish("a", b"x", qos=1, retain=retain))
    for sent in (outlet, old_outlet):
        assert [message.retain for message in sent.publishes()] == [as_published, False]
        sent.sent.clear()
    broker.core.router.send_retained(session, "a")
    assert [message.retain for message in outlet.publishes()] == [True]


def test_retained_messages_come_with_the_identifier_of_what_they_answer() -> None:
    broker = Broker()
    session, outlet = broker.connect5("me")
    broker.publish(Publish("a", b"x", qos=1, retain=True))
    broker.subscribe(session, "a", grant(1, identifier=7))
    broker.subscribe(session, "#", grant(0, identifier=8))
    broker.core.router.send_retained(session, "a")
    assert [(one.qos, one.subscription_ids) for one in outlet.publishes()] == [(1, (7,))]


def test_no_local_keeps_ones_own_retained_messages_away() -> None:
    broker = Broker()
    session, outlet = broker.connect5("me")
    for sender in ("me", "other"):
        broker.publish(Publish(f"a/{sender}", b"x", qos=1, retain=True), sender)
    for no_local, topics in ((True, ["a/other"]), (False, ["a/me", "a/other"])):
        outlet.sent.clear()
        broker.subscribe(session, "a/+", grant(no_local=no_local))
        broker.core.router.send_retained(session, "a/+")
        assert sorted(one.topic for one in outlet.publishes()) == topics


def test_a_subscription_tells_whether_it_is_new() -> None:
    """And what was there before; one that is replaced is not, nor one that fails."""
    broker = Broker(EmbeddedSettings(subscriptions=1))
    session, _ = broker.connect5("me")
    router = broker.core.router
    assert router.subscribe(session, "a", grant(1)) == (1, True)
    assert router.subscribe(session, "a", grant(0, identifier=2)) == (0, False)
    assert router.subscribe(session, "b", grant()) == (Reason.QUOTA_EXCEEDED, False)
    assert router.subscribe(session, "$share/g", grant()) == (Reason.TOPIC_FILTER_INVALID, False)
    assert session.subscriptions == {"a": grant(0, identifier=2)}
    assert router.subscriptions == 1
    assert router.unsubscribe(session, "a")
    assert not router.unsubscribe(session, "a")
    assert router.subscriptions == 0


def test_each_member_of_a_group_has_its_own_grant() -> None:
    """A message that one has been sent does not go to another when the session ends."""
    broker = Broker()
    outlets = []
    for qos in range(3):
        session, outlet = broker.connect5(f"member-{qos}")
        broker.subscribe(session, "$share/g/a", grant(qos, identifier=qos + 1))
        outlets.append(outlet)
    for _ in range(3):
        broker.say("a", b"x", qos=2)
    assert [[(one.qos, one.subscription_ids) for one in outlet.publishes()] for outlet in outlets] == [
        [(qos, (qos + 1,))] for qos in range(3)
    ]
    broker.core.sessions.end(broker.core.sessions["member-2"])
    assert [len(outlet.publishes()) for outlet in outlets] == [1, 1, 1]


def test_a_copy_for_3_1_1_has_nothing_of_mqtt_5() -> None:
    """Whoever published it, and whatever others get."""
    broker = Broker()
    session, outlet = broker.connect("me")
    session5, outlet5 = broker.connect5("me5")
    for one in (session, session5):
        broker.subscribe(one, "a", grant(1, identifier=1))
    passed = bytes.fromhex("0101 26000161000162 26000161000163")
    packet = Publish("a", b"x", qos=1, expiry=10, passed=passed)
    broker.publish(packet)
    assert [(one.payload, one.expiry, one.passed) for one in outlet.publishes()] == [(b"x", None, b"")]
    (found,) = outlet5.publishes()
    assert (found.payload, found.expiry, found.passed, found.subscription_ids) == (b"x", 10, passed, (1,))
