"""How long sessions and messages last; over restarts too."""

import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from broker.engines.embedded import EmbeddedSettings
from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.sessions.grant import Grant
from broker.engines.embedded.sessions.waiting import OVERHEAD
from broker.mqtt.kinds import PUBREC
from broker.mqtt.packets import Publish
from tests.broker.engines.embedded.dying_broker import GRANTED, PASSED
from tests.broker.engines.embedded.unconnected import Broker


@pytest.fixture(params=[True, False], ids=["restarted", "running"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "broker.db" if request.param else None


def later(broker: Broker, path: Path | None, seconds: float) -> Broker:
    """The broker after some time; another life of it where it has a store."""
    if path is not None:
        broker.die()
        return Broker(path=path, now=broker.now + seconds)
    broker.now += seconds
    return broker


@pytest.mark.parametrize(
    ("expiry", "there", "gone"), [(0.0, None, 0.0), (10.0, 9.0, 11.0), (math.inf, 7 * 86_400.0, 7 * 86_401.0)]
)
@pytest.mark.parametrize("tidied", [True, False])
def test_a_session_lasts_as_long_as_its_expiry_says(
    path: Path | None, expiry: float, there: float | None, gone: float, tidied: bool
) -> None:
    """Or as the longest that there is, which it is told; to the second, whenever the broker tidies up."""
    broker = Broker(path=path)
    for seconds, present in ((there, True), (gone, False)):
        if seconds is not None:
            session, _ = broker.connect5("me", expiry=expiry)
            assert session.expiry == min(expiry, EmbeddedSettings.session_expiry)
            broker.leave(session)
            broker = later(broker, path, seconds)
            if tidied:
                broker.core.tidy()
            assert broker.core.sessions.open("me", clean_start=False, expiry=expiry)[1] is present
            assert broker.core.counters.sessions_expired == (tidied and not present and bool(expiry))
            broker.connect5("me", expiry=expiry)


def test_an_expiry_that_was_changed_counts(path: Path | None) -> None:
    """At a DISCONNECT, and at the next CONNECT."""
    broker = Broker(path=path)
    session, _ = broker.connect5("me", expiry=10.0)
    broker.core.sessions.change_expiry(session, 5.0)
    broker.leave(session)
    broker = later(broker, path, 4.0)
    session, _ = broker.connect5("me", expiry=20.0)
    broker.leave(session)
    broker = later(broker, path, 19.0)
    assert broker.core.sessions.open("me", clean_start=False, expiry=0.0)[1]
    # It ends with its connection now, also where the broker dies before.
    broker = later(broker, path, 0.0)
    if path is None:
        broker.leave(broker.connect5("me", expiry=0.0)[0])
    assert not broker.core.sessions.open("me", clean_start=False, expiry=10.0)[1]


def test_a_session_that_ended_with_its_process_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    """It was kept for longer once; its client is a new one then, and nothing old comes back to it."""
    path = tmp_path / "broker.db"
    broker = Broker(path=path)
    session, _ = broker.connect5("me")
    broker.subscribe(session, "a", 1)
    broker.leave(session)
    broker.say("a", b"old")
    session, outlet = broker.connect5("me", expiry=0.0)
    assert outlet.payloads() == [b"old"]
    broker = later(broker, path, 0.0)
    session, outlet = broker.connect5("me")
    assert (outlet.payloads(), list(session.subscriptions)) == ([], [])
    # What of it was left would keep the next start from reading the store, or come to the next one.
    broker.core.sessions.change_expiry(session, 0.0)
    broker.leave(session)
    broker = later(broker, path, 0.0)
    session, outlet = broker.connect5("me")
    broker.say("a", b"new")
    assert (outlet.payloads(), list(session.subscriptions)) == ([], [])
    broker.die()


def test_a_connected_session_does_not_expire() -> None:
    broker = Broker()
    session, _ = broker.connect5("me", expiry=10.0)
    broker.now += 100.0
    broker.core.tidy()
    assert broker.core.sessions.get("me") is session
    broker.leave(session)
    broker.now += 9.0
    broker.core.tidy()
    assert broker.core.sessions.get("me") is session


def test_clean_start_decides_what_becomes_of_a_session(path: Path | None) -> None:
    """The new one lasts as it says itself."""
    broker = Broker(path=path)
    session, _ = broker.connect5("me")
    broker.subscribe(session, "a")
    broker.leave(session)
    broker.say("a", b"x")
    session, outlet = broker.connect5("me", clean=True, expiry=10.0)
    assert not session.subscriptions
    broker.subscribe(session, "b")
    broker.leave(session)
    broker.say("b", b"y")
    broker = later(broker, path, 9.0)
    session, outlet = broker.connect5("me")
    assert (outlet.payloads(), list(session.subscriptions)) == ([b"y"], ["b"])


@pytest.mark.parametrize("version", [4, 5])
def test_what_has_expired_is_not_sent(path: Path | None, version: int) -> None:
    """What waits for a client, of whatever version, and what is retained; the rest tells what is left."""
    broker = Broker(path=path)
    session, _ = broker.connect5("me")
    broker.subscribe(session, "a", 1)
    broker.leave(session)
    for number, expiry in ((1, 5), (2, None), (3, 10), (4, 5)):
        broker.publish(Publish("a", b"%d" % number, qos=1, expiry=expiry))
        broker.publish(Publish(f"r/{number}", b"%d" % number, qos=1, retain=True, expiry=expiry))
    broker = later(broker, path, 6.0)
    session, outlet = broker.connect("me") if version == 4 else broker.connect5("me")
    assert [(one.payload, one.expiry) for one in outlet.publishes()] == [
        (b"2", None),
        (b"3", 4 if version == 5 else None),
    ]
    assert broker.core.counters.dropped_old == 2
    outlet.sent.clear()
    broker.subscribe(session, "r/+", 1)
    broker.core.router.send_retained(session, "r/+")
    assert sorted(outlet.payloads()) == [b"2", b"3"]
    broker.core.tidy()
    assert len(broker.core.router.retained) == 2
    broker = later(broker, path, 0.0)
    assert len(broker.core.router.retained) == 2


@pytest.mark.parametrize("as_published", [True, False])
def test_what_is_published_grows_too_old_and_what_was_retained_before_does_not(
    path: Path | None, as_published: bool
) -> None:
    """Whatever flag it comes with."""
    broker = Broker(path=path)
    session, _ = broker.connect5("me", expiry=math.inf, receive_maximum=1)
    broker.subscribe(session, "a", Grant.of(1, no_local=False, retain_as_published=as_published))
    broker.publish(Publish("a", b"first", qos=1))
    broker.publish(Publish("a", b"live", qos=1, retain=True))
    broker.publish(Publish("r", b"retained", qos=1, retain=True))
    broker.subscribe(session, "r", 1)
    broker.core.router.send_retained(session, "r")
    broker.leave(session)
    broker = later(broker, path, EmbeddedSettings.queue_age + 1.0)
    _, outlet = broker.connect5("me", expiry=math.inf)
    assert outlet.payloads() == [b"first", b"retained"]
    assert broker.core.counters.dropped_old == 1


def test_a_message_for_now_alone_reaches_who_is_there() -> None:
    broker = Broker()
    session, outlet = broker.connect5("me")
    broker.subscribe(session, "a", 1)
    broker.publish(Publish("a", b"x", qos=1, expiry=0))
    assert [one.expiry for one in outlet.publishes()] == [0]


def test_what_has_expired_makes_room_for_others() -> None:
    """Though what stands before it has not, and its client stays away."""
    room = 3 * (OVERHEAD + 1)
    broker = Broker(EmbeddedSettings(queue_bytes=room, retained_messages=2))
    session, _ = broker.connect5("me")
    broker.subscribe(session, "a", 1)
    broker.leave(session)
    for number, expiry in ((1, None), (2, 5), (3, 5), (4, None)):
        broker.publish(Publish("a", b"%d" % number, qos=1, expiry=expiry))
        broker.publish(Publish(f"r/{number}", b"x", qos=1, retain=True, expiry=expiry))
    assert broker.core.counters.dropped_full == 1
    assert broker.core.counters.dropped_retained == 2
    broker.now = 6.0
    broker.core.tidy()
    for number in (5, 6):
        broker.publish(Publish("a", b"%d" % number, qos=1))
    broker.publish(Publish("r/5", b"x", qos=1, retain=True))
    _, outlet = broker.connect5("me")
    assert outlet.payloads() == [b"1", b"5", b"6"]
    assert broker.core.counters.dropped_full == 1
    assert broker.core.counters.dropped_retained == 2


def test_a_retained_message_that_took_the_place_of_one_that_expires_stays() -> None:
    broker = Broker()
    for payload, expiry in ((b"short", 5), (b"long", 50), (b"for ever", None)):
        broker.publish(Publish("a", payload, retain=True, expiry=expiry))
        broker.publish(Publish(f"b/{payload.decode()}", payload, retain=True, expiry=expiry))
    broker.publish(Publish("b/short", b"", retain=True))
    broker.publish(Publish("b/short", b"again", retain=True))
    broker.now = 100.0
    broker.core.tidy()
    found = broker.core.router.retained.match("#")
    assert sorted(one.payload for one in found) == [b"again", b"for ever", b"for ever"]


def test_an_exchange_that_has_begun_outlives_its_message(path: Path | None) -> None:
    broker = Broker(path=path)
    session, outlet = broker.connect5("me")
    broker.subscribe(session, "a")
    for payload in (b"received", b"sent"):
        broker.publish(Publish("a", payload, qos=2, expiry=5))
    session.acknowledged(PUBREC, outlet.publishes()[0].packet_id)
    broker.leave(session)
    broker = later(broker, path, 6.0)
    broker.core.tidy()
    _, outlet = broker.connect5("me")
    assert [one.packet_id for one in outlet.acks()] == [1]
    assert [(one.payload, one.dup, one.expiry) for one in outlet.publishes()] == [(b"sent", True, 0)]


def test_properties_and_identifiers_are_kept(path: Path | None) -> None:
    """With what waits, with what is on its way, with subscriptions and with retained messages."""
    broker = Broker(path=path)
    session, _ = broker.connect5("me", receive_maximum=1)
    broker.subscribe(session, "a", GRANTED)
    for number in range(2):
        broker.publish(Publish("a", b"%d" % number, qos=1, retain=True, passed=PASSED))
    broker.leave(session)
    broker = later(broker, path, 1.0)
    session, outlet = broker.connect5("me")
    broker.publish(Publish("a", b"2", qos=1, retain=True, passed=PASSED))
    broker.publish(Publish("a", b"own", qos=1), "me")
    broker.core.router.send_retained(session, "a")
    assert session.subscriptions == {"a": GRANTED}
    assert [(one.payload, one.retain, one.passed, one.subscription_ids) for one in outlet.publishes()] == [
        (payload, True, PASSED, (70_000,)) for payload in (b"0", b"1", b"2", b"2")
    ]


def test_a_clock_that_was_ahead_lets_nothing_live_longer(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    ahead = Broker(path=path, now=1e9)
    session, _ = ahead.connect5("me")
    ahead.subscribe(session, "a", 1)
    ahead.leave(session)
    ahead.publish(Publish("a", b"x", qos=1, retain=True, expiry=5))
    ahead.die()
    broker = Broker(path=path, now=1000.0)
    (kept,) = broker.core.router.retained.match("a")
    (waiting,) = broker.core.sessions["me"]
    for message in (kept, waiting.message):
        assert isinstance(message, RoutedMessage)
        assert (message.born, message.expires) == (1000.0, 1005.0)
    broker.die()


def test_all_of_it_survives_a_kill(tmp_path: Path) -> None:
    """A client that was there is thought to have left when the broker starts again."""
    path = tmp_path / "broker.db"
    command = (sys.executable, "-m", "tests.broker.engines.embedded.dying_broker", str(path))
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    broker = Broker(path=path, now=10.0)
    session = broker.core.sessions["me"]
    assert (session.expiry, session.left_at, session.subscriptions) == (60.0, 10.0, {"a": GRANTED})
    broker.now = 41.0
    broker.core.look_after()
    assert [one.payload for one in broker.core.router.retained.match("wills/me")] == [b"gone"]
    session, outlet = broker.connect5("me")
    broker.core.router.send_retained(session, "a")
    assert [(one.dup, one.expiry, one.passed, one.subscription_ids) for one in outlet.publishes()] == [
        (dup, 59, PASSED, (70_000,)) for dup in (True, False)
    ]
    broker.die()
