"""What amqtt does not do as other brokers do: the table in docs/guarantees.md, row by row.

A test that fails after an upgrade of amqtt says that a row has become untrue, to amqtt's credit.
"""

from pathlib import Path

import pytest

from broker.contract.message import Message
from tests.broker.engines.amqtt.conftest import amqtt
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PUBLISH,
    Arrived,
    RawClient,
    Will,
    connect_packet,
    publish_packet,
)
from tests.support.eventually import eventually

MARK = Arrived("mark", b"")


async def heard(ear: RawClient, by: RawClient) -> list[Arrived]:
    """All that comes to a client that has subscribed to `mark` with QoS 0 before a message there does."""
    by.send(publish_packet("mark", b""))
    found = []
    while (one := ear.read_publish(await ear.expect(PUBLISH))) != MARK:
        found.append(one)
        ear.send_ack(4, 1)
    return found


async def test_a_message_comes_with_the_qos_of_the_subscription() -> None:
    """Also where it was published with a lower one."""
    async with amqtt() as (_, place):
        ear = await place.connect()
        await ear.subscribe(("a", 1))
        (await place.connect()).send(publish_packet("a", b"x"))
        assert ear.read_publish(await ear.expect(PUBLISH)).qos == 1


async def test_subscribing_again_does_not_change_the_qos() -> None:
    async with amqtt() as (_, place):
        ear = await place.connect()
        assert await ear.subscribe(("a", 0)) == [0]
        assert await ear.subscribe(("a", 1)) == [1]
        (await place.connect()).send(publish_packet("a", b"x", qos=1))
        assert ear.read_publish(await ear.expect(PUBLISH)).qos == 0


async def test_overlapping_subscriptions_bring_a_copy_each() -> None:
    async with amqtt() as (_, place):
        ear, client = await place.connect(), await place.connect()
        await ear.subscribe(("a", 0), ("+", 0))
        client.send(publish_packet("a", b"x"))
        for _ in range(2):
            assert ear.read_publish(await ear.expect(PUBLISH)) == Arrived("a", b"x")


async def test_a_shared_subscription_is_granted_and_brings_nothing() -> None:
    async with amqtt() as (_, place):
        ear, client = await place.connect(), await place.connect()
        assert await ear.subscribe(("$share/group/a", 0), ("mark", 0)) == [0, 0]
        client.send(publish_packet("a", b"x"))
        assert await heard(ear, client) == []


async def test_what_a_client_has_not_acknowledged_is_gone_with_its_connection() -> None:
    async with amqtt() as (_, place):
        ear, client = await place.connect("ear", clean=False), await place.connect()
        await ear.subscribe(("a", 1))
        client.send(publish_packet("a", b"x", qos=1))
        await ear.expect(PUBLISH)
        ear.drop()
        ear = await place.connect("ear")
        await ear.subscribe(("mark", 0))
        assert await heard(ear, client) == []


@pytest.mark.parametrize("known", [False, True], ids=["without a login", "with one"])
async def test_a_message_waits_only_for_who_has_logged_in(logins: Path, *, known: bool) -> None:
    """And it comes as if it had been retained."""
    name, password = ("alice", "wonderland") if known else (None, None)
    async with amqtt(file=logins if known else None) as (engine, place):

        async def connect() -> RawClient:
            client = await place.open()
            client.send(connect_packet("ear", clean=False, username=name, password=password))
            assert (await client.expect(CONNACK)).body[1] == 0
            return client

        ear = await connect()
        assert await ear.subscribe(("a", 1)) == [1]
        await ear.disconnect()
        engine.publish(Message(topic="a", payload=b"x", qos=1))
        ear = await connect()
        engine.publish(Message(topic="a", payload=b"y", qos=1))
        first = ear.read_publish(await ear.expect(PUBLISH))
        assert first == (Arrived("a", b"x", 1, retain=True) if known else Arrived("a", b"y", 1))


async def test_a_refused_login_silences_the_client_of_that_name(logins: Path) -> None:
    async with amqtt(file=logins) as (engine, place):

        async def connect(name: str, password: str) -> RawClient:
            client = await place.open()
            client.send(connect_packet(name, username="alice", password=password))
            refused = password != "wonderland"
            assert (await client.expect(CONNACK)).body == (b"\0\5" if refused else b"\0\0")
            return client

        ears = [await connect(name, "wonderland") for name in ("ear", "other")]
        for one in ears:
            await one.subscribe(("a", 0))
        await connect("ear", "looking-glass")
        engine.publish(Message(topic="a", payload=b"x"))
        await ears[1].expect(PUBLISH)
        assert await ears[0].ping() == []


async def test_a_will_passes_the_plugins_that_check_topics(rights: Path) -> None:
    taken: list[Message] = []

    def take(message: Message) -> None:
        taken.append(message)

    async with amqtt(receiver=take, filters=("b",), file=rights) as (engine, place):
        doomed = await place.open()
        doomed.send(connect_packet("phone", will=Will("b", b"x"), username="alice", password="wonderland"))
        await doomed.expect(CONNACK)
        doomed.drop()
        await eventually(lambda: len(taken) == 1)
        assert engine.denied == 0


async def test_sessions_and_what_is_retained_are_gone_with_the_broker() -> None:
    for _ in range(2):
        async with amqtt() as (engine, place):
            ear = await place.connect("ear", clean=False)
            await ear.subscribe(("a", 0), ("mark", 0))
            engine.publish(Message(topic="mark", payload=b""))
            assert ear.read_publish(await ear.expect(PUBLISH)) == MARK
            engine.publish(Message(topic="a", payload=b"x", retain=True))
            assert ear.read_publish(await ear.expect(PUBLISH)).topic == "a"
