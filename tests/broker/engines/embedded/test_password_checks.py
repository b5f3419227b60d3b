"""Users at the embedded broker: who gets in, what each may do, and that it changes while it runs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.contract.identity import Role
from broker.contract.message import Message
from broker.engines.embedded import EmbeddedSettings
from broker.engines.embedded.access import UserAccess
from broker.security.users import make_user, write_users
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    Arrived,
    Place,
    RawClient,
    Will,
    connect_packet,
    packet,
)

USERS = {
    name: make_user(name, role, f"{name}-secret")
    for name, role in (
        ("thermo", Role.DEVICE),
        ("lamp", Role.DEVICE),
        ("fog-b", Role.NODE),
        ("ann", Role.OPERATOR),
    )
}


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.toml"
    write_users(path, USERS)
    return path


@pytest.fixture
async def received() -> list[Message]:
    return []


@pytest.fixture
async def place(users: Path, received: list[Message]) -> AsyncIterator[Place]:
    def receive(message: Message) -> None:
        received.append(message)

    settings = EmbeddedSettings(listen=LOOPBACK, store=users.parent / "broker.db")
    async with embedded(settings, receiver=receive, filters=("fog/#",), access=UserAccess(users)) as (
        _,
        place,
    ):
        yield place


async def log_in(
    place: Place, name: str, *, client_id: str = "", clean: bool = True, will: Will | None = None
) -> RawClient:
    client = await place.open()
    client.send(connect_packet(client_id, username=name, password=f"{name}-secret", clean=clean, will=will))
    assert (await client.expect(CONNACK)).body[1] == 0
    return client


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("thermo", "wrong"),
        ("thermo", ""),
        ("thermo", None),
        ("stranger", "x"),
        (None, None),
        ("ann", "thermo-secret"),
    ],
)
async def test_who_is_not_known_is_refused(place: Place, name: str | None, password: str | None) -> None:
    client = await place.open()
    client.send(connect_packet("me", username=name, password=password))
    assert (await client.expect(CONNACK)).body == b"\0\4"
    assert await client.closed()


async def test_what_comes_behind_a_connect_waits_until_the_password_is_checked(
    place: Place, received: list[Message]
) -> None:
    """In one segment, and in a second one."""
    client = await place.open()
    hello = connect_packet("me", username="thermo", password="thermo-secret")
    topic = b"\0\x1efog/tasks/light/sum/thermo/one"
    client.send(hello + packet(3, topic + b"1") + packet(3, topic + b"2")[:7])
    await asyncio.sleep(0)
    client.send(packet(3, topic + b"2")[7:])
    assert (await client.expect(CONNACK)).body == b"\0\0"
    await client.ping()
    assert [one.payload for one in received] == [b"1", b"2"]
    assert {(one.user, one.role) for one in received} == {("thermo", Role.DEVICE)}


async def test_a_device_speaks_and_reads_for_itself_alone(place: Place, received: list[Message]) -> None:
    thermo = await log_in(place, "thermo")
    codes = await thermo.subscribe(("fog/results/thermo/+", 1), ("fog/results/lamp/+", 1), ("#", 0))
    assert codes == [1, 0x80, 0x80]
    await thermo.publish("fog/tasks/light/sum/lamp/1", b"[1]", qos=1)
    await thermo.publish("fog/tasks/light/sum/thermo/1", b"[1]", qos=2)
    assert [one.topic for one in received] == ["fog/tasks/light/sum/thermo/1"]


async def test_a_denied_will_is_not_published(place: Place, received: list[Message]) -> None:
    ann = await log_in(place, "ann")
    await ann.subscribe(("#", 0))
    lamp = await log_in(place, "lamp", client_id="x", will=Will("fog/tasks/light/sum/thermo/1", b"[1]"))
    lamp.drop()
    await log_in(place, "lamp", client_id="x")
    assert await ann.pending() == []
    assert received == []


async def test_nobody_takes_over_the_session_of_another_user(place: Place) -> None:
    """Under the same client identifier each user has a session of its own."""
    thermo = await log_in(place, "thermo", client_id="same", clean=False)
    await thermo.subscribe(("fog/results/thermo/+", 1))
    lamp = await log_in(place, "lamp", client_id="same", clean=False)
    assert await lamp.pending() == []
    assert await thermo.ping() == []


async def test_a_user_who_is_removed_is_cut_off_and_a_new_one_let_in(place: Place, users: Path) -> None:
    thermo = await log_in(place, "thermo")
    lamp = await log_in(place, "lamp")
    write_users(
        users,
        {
            **{n: u for n, u in USERS.items() if n != "thermo"},
            "new": make_user("new", Role.DEVICE, "new-secret"),
        },
    )
    assert await thermo.closed()
    await log_in(place, "new")
    assert await lamp.ping() == []


async def test_a_session_keeps_no_subscription_that_its_user_has_lost(users: Path) -> None:
    settings = EmbeddedSettings(listen=LOOPBACK, store=users.parent / "broker.db")
    async with embedded(settings, access=UserAccess(users)) as (_, place):
        ann = await log_in(place, "ann", client_id="a", clean=False)
        assert await ann.subscribe(("#", 1), ("fog/results/ann/+", 1)) == [1, 1]
        await ann.disconnect()
    write_users(users, {**USERS, "ann": make_user("ann", Role.DEVICE, "ann-secret")})
    async with embedded(settings, access=UserAccess(users)) as (engine, place):
        ann = await log_in(place, "ann", client_id="a", clean=False)
        engine.publish(Message(topic="fog/results/lamp/1", payload=b"x", qos=1))
        engine.publish(Message(topic="fog/results/ann/1", payload=b"x", qos=1))
        assert await ann.pending() == [Arrived("fog/results/ann/1", b"x", 1)]


async def test_anonymous_clients_are_one_device_where_they_are_let_in(users: Path) -> None:
    async with embedded(access=UserAccess(users, allow_anonymous=True)) as (engine, place):
        client = await place.connect()
        assert await client.subscribe(("fog/results/anonymous/+", 1), ("fog/results/thermo/+", 1)) == [
            1,
            0x80,
        ]
        await client.publish("fog/tasks/light/sum/thermo/1", b"[1]", qos=1)
        assert engine.counters.dropped_denied == 1


async def test_an_unreadable_file_leaves_the_users_as_they_are(place: Place, users: Path) -> None:
    await asyncio.to_thread(users.write_text, "[")
    await log_in(place, "thermo")


async def test_a_flood_of_wrong_passwords_keeps_nobody_else_out(users: Path) -> None:
    async with embedded(access=UserAccess(users)) as (engine, place):
        thermo = await log_in(place, "thermo")
        for _ in range(200):
            client = await place.open()
            client.send(connect_packet("", username="thermo", password="guess"))
        # The loop is free meanwhile, and a password that was right before needs no turn.
        await thermo.ping()
        await log_in(place, "thermo")
        assert engine.counters.logins_refused < 200


async def test_one_user_takes_no_more_than_three_quarters_of_the_sessions(users: Path) -> None:
    """A device that comes under ever new client identifiers, and leaves a session each time."""
    settings = EmbeddedSettings(listen=LOOPBACK, sessions=4)
    async with embedded(settings, access=UserAccess(users)) as (_, place):
        for number in range(3):
            await (await log_in(place, "thermo", client_id=f"c{number}", clean=False)).disconnect()
        fourth = await place.open()
        fourth.send(connect_packet("c3", username="thermo", password="thermo-secret", clean=False))
        assert (await fourth.expect(CONNACK)).body == b"\0\3"
        await log_in(place, "thermo", client_id="c0", clean=False)
        await log_in(place, "lamp", client_id="c0", clean=False)
        # A session that is given up makes room.
        await (await log_in(place, "thermo", client_id="c1")).disconnect()
        other = await place.open()
        other.send(connect_packet("c9", username="thermo", password="thermo-secret", clean=False))
        assert (await other.expect(CONNACK)).body == b"\0\0"
