"""When wills are published, and what keeps them back; over restarts too."""

from collections.abc import Callable
from pathlib import Path

import pytest

from broker.contract.identity import Identity, Role
from broker.engines.embedded import Access, AllowAll, Login
from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.sessions.will import LastWill
from broker.mqtt.packets import Publish, Will
from tests.broker.engines.embedded.unconnected import Broker, Outlet

PASSED = bytes.fromhex("0101 26000161000162 26000161000163")


@pytest.fixture(params=[True, False], ids=["restarted", "running"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "broker.db" if request.param else None


@pytest.fixture
def later(path: Path | None) -> Callable[[Broker, float], Broker]:
    """Goes on after some time, in another life where there is a store, and looks for what is due."""

    def later(broker: Broker, now: float) -> Broker:
        if path is not None:
            broker.die()
            broker = Broker(path=path, now=broker.now)
        broker.now = now
        broker.core.look_after()
        return broker

    return later


def with_will(broker: Broker, delay: int, lasting: float, **more: object) -> Session:
    """A client with a will that is kept where it is told, so that a later life can be asked."""
    session, _ = broker.connect5("me", expiry=lasting)
    said = Will("wills/me", b"gone", 1, retain=True, delay=delay, **more)  # type: ignore[arg-type]
    broker.core.wills.keep(session, LastWill(said))
    return session


def told(broker: Broker) -> bool:
    return bool(broker.core.router.retained.match("wills/me"))


@pytest.mark.parametrize(("delay", "expiry", "due"), [(5, 100.0, 5.0), (100, 5.0, 5.0), (5, 5.0, 5.0)])
def test_a_will_is_told_at_its_delay_or_with_the_end_of_its_session(
    path: Path | None, later: Callable[[Broker, float], Broker], delay: int, expiry: float, due: float
) -> None:
    """Once, also where it was due while no broker ran."""
    broker = Broker(path=path)
    broker.leave(with_will(broker, delay, expiry))
    broker = later(broker, due - 1.0)
    assert not told(broker)
    broker = later(broker, due + 1.0)
    assert told(broker)
    broker.publish(Publish("wills/me", b"", retain=True))
    for now in (due + 2.0, 200.0):
        broker = later(broker, now)
        broker.core.tidy()
        assert not told(broker)


@pytest.mark.parametrize(("delay", "expiry"), [(0, 100.0), (5, 0.0), (0, 0.0)])
def test_a_will_without_a_delay_is_told_at_once(delay: int, expiry: float) -> None:
    broker = Broker()
    broker.leave(with_will(broker, delay, expiry))
    assert told(broker)


def test_a_client_that_was_there_when_the_broker_died_left_then(tmp_path: Path) -> None:
    """It has its delay to come back, from the next start on."""
    path = tmp_path / "broker.db"
    for back in (True, False):
        broker = Broker(path=path)
        with_will(broker, 5, 100.0)
        broker.die()
        broker = Broker(path=path, now=50.0)
        broker.now = 54.0
        broker.core.look_after()
        if back:
            broker.connect5("me")
        broker.now = 56.0
        broker.core.look_after()
        assert told(broker) is not back
        broker.die()


def test_a_new_connection_in_time_keeps_the_will_back(
    path: Path | None, later: Callable[[Broker, float], Broker]
) -> None:
    """For ever; unless it starts anew, which ends the session that the will belonged to."""
    broker = Broker(path=path)
    broker.leave(with_will(broker, 5, 100.0))
    broker = later(broker, 4.0)
    session, _ = broker.connect5("me")
    broker.leave(session)
    broker = later(broker, 50.0)
    assert not told(broker)
    session = with_will(broker, 5, 100.0)
    broker.leave(session)
    broker = later(broker, 54.0)
    broker.connect5("me", clean=True)
    assert told(broker)


def test_a_client_that_takes_its_leave_has_no_will(
    path: Path | None, later: Callable[[Broker, float], Broker]
) -> None:
    broker = Broker(path=path)
    session = with_will(broker, 5, 100.0)
    broker.core.wills.cancel(session.name)
    broker.leave(session)
    assert not told(later(broker, 300.0))


def test_a_will_has_its_properties_and_its_expiry(
    path: Path | None, later: Callable[[Broker, float], Broker]
) -> None:
    """Which begins when it is told."""
    broker = Broker(path=path)
    broker.leave(with_will(broker, 5, 100.0, expiry=10, passed=PASSED))
    broker = later(broker, 6.0)
    session, outlet = broker.connect5("other")
    broker.subscribe(session, "wills/#")
    broker.now += 3.0
    broker.core.router.send_retained(session, "wills/#")
    (found,) = outlet.publishes()
    assert (found.payload, found.qos, found.expiry, found.passed) == (b"gone", 1, 7, PASSED)


class Rights(AllowAll):
    """Whoever is in `may` may publish; remembers who has asked."""

    def __init__(self) -> None:
        self.may = {"me-user"}
        self.asked: list[Login] = []

    def may_publish(self, login: Login, _topic: str, /) -> bool:
        self.asked.append(login)
        return login.username in self.may


@pytest.mark.parametrize("removed", [True, False])
def test_a_will_is_told_only_for_who_may_publish_it_then(tmp_path: Path, removed: bool) -> None:
    """Whatever was so when its client connected."""
    path, rights = tmp_path / "broker.db", Rights()
    access: Access = rights
    broker = Broker(path=path, access=access)
    session, _ = broker.connect5("me\0me-user", expiry=100.0)
    certificate = Identity("me-user", Role.NODE)
    will = LastWill(Will("wills/me", b"gone", 1, retain=True, delay=5), "me-user", certificate)
    broker.core.wills.keep(session, will)
    broker.leave(session)
    broker.die()
    if removed:
        rights.may.clear()
    broker = Broker(path=path, now=6.0, access=access)
    broker.core.look_after()
    assert told(broker) is not removed
    assert broker.core.counters.dropped_denied == removed
    (login,) = rights.asked
    assert (login.client_id, login.username, login.certificate) == ("me", "me-user", certificate)


def test_a_broker_that_takes_nothing_in_leaves_wills_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    broker = Broker(path=path)
    broker.leave(with_will(broker, 5, 100.0))
    broker.core.paused = True
    broker.now = 6.0
    broker.core.look_after()
    assert not told(broker)
    broker.die()
    broker = Broker(path=path, now=7.0)
    broker.core.look_after()
    assert told(broker)


def test_a_will_comes_to_who_has_subscribed() -> None:
    """Once, also to its own client's session, which lasts."""
    broker = Broker()
    other, outlet = broker.connect("other")
    broker.subscribe(other, "wills/#")
    session = with_will(broker, 5, 100.0)
    broker.subscribe(session, "wills/#")
    broker.leave(session)
    broker.now = 6.0
    broker.core.look_after()
    assert outlet.payloads() == [b"gone"]
    again: Outlet
    _, again = broker.connect5("me")
    assert again.payloads() == [b"gone"]
