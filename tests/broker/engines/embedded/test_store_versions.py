"""The broker's store of earlier versions is read, and one of a later version is left alone."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from broker.engines.embedded import EmbeddedEngine, EmbeddedSettings
from broker.engines.embedded.sqlite_schema import CHANGES, VERSION
from broker.errors import EngineError
from broker.mqtt.kinds import PUBREL
from broker.mqtt.packets import Ack, Publish
from tests.broker.engines.embedded.conftest import LOOPBACK
from tests.broker.engines.embedded.unconnected import Broker

WRITTEN_BY_0_1_0 = Path(__file__).with_name("store_0_1_0.db")
"""By a broker that was killed: `me` was there, and had 25 messages of QoS 1 and 2 and a window of 20; `away`
was not. Both had subscribed to a/+."""

WRITTEN_AT = 1_795_887_404.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "broker.db"
    shutil.copy(WRITTEN_BY_0_1_0, path)
    return path


def columns(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """What each table has."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: database.execute(f"PRAGMA table_info({name})").fetchall() for name in tables}


def test_sessions_and_messages_of_0_1_0_are_there(path: Path) -> None:
    """In all their stages, more than once, and with the longest expiry that there is."""
    for _ in range(2):
        broker = Broker(path=path, now=WRITTEN_AT)
        assert {one.name: one.expiry for one in broker.core.sessions} == dict.fromkeys(
            ("me", "away"), EmbeddedSettings.session_expiry
        )
        assert {one.topic: one.payload for one in broker.core.router.retained.match("#")} == {
            "a/kept": b"kept",
            "plain": b"retained",
        }
        session, outlet = broker.connect("me")
        released = [one for one in outlet.packets() if isinstance(one, Ack)]
        assert released == [Ack(PUBREL, 3)]
        assert [one.packet_id for one in outlet.publishes()] == [1, 2, *range(4, 21)]
        assert all(one.dup for one in outlet.publishes())
        assert list(session.received) == [9]
        assert session.subscriptions.keys() == {"a/+", "$share/g/job"}
        assert session.waiting == 5
        broker.die()
    broker = Broker(path=path, now=WRITTEN_AT)
    _, outlet = broker.connect5("away", receive_maximum=30)
    assert outlet.payloads() == [b"kept", *(b"%d" % number for number in range(19))]
    broker.publish(Publish("job", b"new", qos=1))
    assert [one.message.topic for one in broker.core.sessions["me"]][-1] == "job"
    broker.die()


def test_a_migrated_store_is_like_a_new_one(path: Path, tmp_path: Path) -> None:
    Broker(path=path, now=WRITTEN_AT).die()
    fresh = tmp_path / "fresh.db"
    Broker(path=fresh).die()
    assert columns(path) == columns(fresh)
    assert sorted(CHANGES) == list(range(VERSION))


def test_what_an_earlier_version_sent_with_the_flag_was_retained_before(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE entry SET retain = id % 2")
    Broker(path=path, now=WRITTEN_AT).die()
    with contextlib.closing(sqlite3.connect(path)) as database:
        flags = set(database.execute("SELECT retain, replayed FROM entry"))
    assert flags == {(0, 0), (1, 1)}


async def test_a_store_of_a_later_version_is_left_alone(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = columns(path)
    engine = EmbeddedEngine(EmbeddedSettings(listen=LOOPBACK, store=path))
    with pytest.raises(
        EngineError, match=rf"broker\.db .* version {VERSION + 1}.* up to {VERSION}; move it"
    ) as caught:
        await engine.start(lambda _: None, [])
    assert "\n" not in str(caught.value)
    assert columns(path) == before
