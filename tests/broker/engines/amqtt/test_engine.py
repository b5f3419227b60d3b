"""What a node is handed by amqtt, and what amqtt's acknowledgements mean then."""

import asyncio
from pathlib import Path

import pytest

from broker.contract.message import Message
from broker.errors import EngineUnavailable
from tests.broker.engines.amqtt.conftest import amqtt
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    Arrived,
    Closed,
    RawClient,
    Will,
    connect_packet,
    publish_packet,
)
from tests.broker.engines.storing_node import StoringNode
from tests.support.eventually import eventually


async def arrived(client: RawClient) -> Arrived:
    return client.read_publish(await client.expect(PUBLISH))


@pytest.mark.parametrize("qos", [1, 2])
async def test_an_acknowledgement_waits_for_the_node(qos: int) -> None:
    """With QoS 2 the last one, for which the client keeps the message."""
    node = StoringNode()
    async with amqtt(receiver=node, filters=("task",)) as (_, place):
        client = await place.connect("phone")
        client.send(publish_packet("task", b"1", qos=qos))
        if qos == 2:
            await client.expect(PUBREC)
            client.send_ack(PUBREL, 1)
        await eventually(lambda: len(node.futures) == 1)
        assert await client.ping() == []
        node.futures[0].set_result(None)
        assert (await client.expect(PUBACK if qos == 1 else PUBCOMP)).packet_id == 1
        assert node.messages == [Message(topic="task", payload=b"1", qos=qos, client_id="phone")]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_could_not_be_stored_ends_the_connection(*, cancelled: bool) -> None:
    node = StoringNode()
    async with amqtt(receiver=node, filters=("task",)) as (_, place):
        client = await place.connect("me")
        client.send(publish_packet("task", b"1", qos=1))
        await eventually(lambda: len(node.futures) == 1)
        if cancelled:
            node.futures[0].cancel()
        else:
            node.futures[0].set_exception(OSError("disk full"))
        with pytest.raises(Closed):
            await client.receive()
        client = await place.connect("me")
        client.send(publish_packet("task", b"1", qos=1, dup=True))
        await eventually(lambda: node.payloads == [b"1", b"1"])


async def test_a_client_that_goes_leaves_what_the_node_stores_alone() -> None:
    node = StoringNode()
    async with amqtt(receiver=node, filters=("task",)) as (_, place):
        client = await place.connect("me")
        client.send(publish_packet("task", b"1", qos=1))
        await eventually(lambda: len(node.futures) == 1)
        client.drop()
        await place.connect("me")
        assert not node.futures[0].cancelled()


async def test_only_what_matches_is_handed_over() -> None:
    """Subscribers get it as well, and what the node publishes does not come back to it."""
    node = StoringNode()
    async with amqtt(receiver=node, filters=("task/+", "cancel/#")) as (engine, place):
        ear, client = await place.connect(), await place.connect()
        await ear.subscribe(("#", 0))
        for topic in ("task/a", "task/a/b", "cancel"):
            client.send(publish_packet(topic, b"x"))
        heard = {(await arrived(ear)).topic for _ in range(3)}
        engine.publish(Message(topic="task/mine", payload=b"x"))
        assert heard | {(await arrived(ear)).topic} == {"task/a", "task/a/b", "cancel", "task/mine"}
        assert [message.topic for message in node.messages] == ["task/a", "cancel"]


async def test_an_order_is_not_retained_and_what_only_clears_is_none() -> None:
    node = StoringNode()
    async with amqtt(receiver=node, filters=("fog/tasks/#",)) as (_, place):
        client = await place.connect()
        for payload in (b"", b"1"):
            client.send(publish_packet("fog/tasks/light/echo", payload, retain=True))
        client.send(publish_packet("other", b"kept", retain=True))
        await eventually(lambda: node.payloads == [b"1"])
        assert node.messages[0].retain is False
        ear = await place.connect()
        await ear.subscribe(("#", 0))
        assert await arrived(ear) == Arrived("other", b"kept", retain=True)


async def test_what_is_retained_comes_to_who_has_subscribed_to_it_alone() -> None:
    async with amqtt() as (engine, place):
        ear = await place.connect()
        await ear.subscribe(("state", 0))
        engine.publish(Message(topic="state", payload=b"on", retain=True))
        assert (await arrived(ear)).payload == b"on"
        other = await place.connect()
        await other.subscribe(("other", 0))
        engine.publish(Message(topic="other", payload=b"x"))
        assert (await arrived(other)).topic == "other"


async def test_a_will_is_handed_over_too() -> None:
    node = StoringNode()
    async with amqtt(receiver=node, filters=("task",)) as (_, place):
        doomed = await place.connect("me", will=Will("task", b"gone", qos=1))
        doomed.drop()
        await eventually(lambda: node.payloads == [b"gone"])


async def test_a_paused_broker_leaves_publishes_unacknowledged() -> None:
    """Who is connected goes on receiving."""
    node = StoringNode()
    async with amqtt(receiver=node, filters=("task",)) as (engine, place):
        client = await place.connect()
        await client.subscribe(("result", 0))
        await engine.pause()
        client.send(publish_packet("task", b"1", qos=1))
        client.send(publish_packet("other", b"2", qos=1, packet_id=2))
        assert (await client.expect(PUBACK)).packet_id == 2
        engine.publish(Message(topic="result", payload=b"done", qos=1))
        assert (await arrived(client)).payload == b"done"
        assert node.payloads == []


async def test_the_last_messages_leave_before_it_stops() -> None:
    async with amqtt() as (engine, place):
        ear = await place.connect()
        await ear.subscribe(("result", 0))
        for number in range(200):
            engine.publish(Message(topic="result", payload=b"%d" % number, qos=1))
        stopping = asyncio.create_task(engine.stop())
        assert [(await arrived(ear)).payload for _ in range(200)] == [b"%d" % number for number in range(200)]
        await stopping
        assert not engine.connected
        with pytest.raises(EngineUnavailable):
            engine.publish(Message(topic="result", payload=b""))


@pytest.mark.parametrize(
    "said", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xc0\0"], ids=["nothing", "HTTP", "a ping"]
)
async def test_who_does_not_say_who_it_is_is_closed(said: bytes) -> None:
    async with amqtt(connect_timeout=1.0) as (_, place):
        stranger = await place.open()
        stranger.send(said)
        assert await stranger.closed()
        await place.connect()


@pytest.mark.parametrize("will", [None, Will("a", b"gone")])
async def test_mqtt_5_is_refused_in_its_own_words(will: Will | None) -> None:
    """By itself amqtt answers in those of 3.1.1, or not at all."""
    async with amqtt() as (_, place):
        client = await place.open()
        client.send(connect_packet("me", level=5, will=will))
        assert (await client.expect(CONNACK)).body == b"\0\x84\0"
        assert await client.closed()


async def test_it_stops_though_a_client_stays_that_has_not_said_who_it_is() -> None:
    async with amqtt() as (engine, place):
        await place.open()
        await place.connect()
        async with asyncio.timeout(30):
            await engine.stop()
        await engine.stop()


async def test_a_topic_of_the_broker_s_own_ends_the_connection_of_who_publishes_there() -> None:
    """By itself amqtt leaves it open, and reads nothing more from it."""
    async with amqtt() as (_, place):
        client = await place.connect()
        client.send(publish_packet("$SYS/x", b"1"))
        with pytest.raises(Closed):
            await client.receive()


async def test_who_logs_in_by_a_plugin_is_known_to_the_node(rights: Path) -> None:
    """What its plugins deny is counted, and reaches nobody."""
    node = StoringNode()
    async with amqtt(receiver=node, filters=("#",), file=rights) as (engine, place):
        alice, mallory = await place.open(), await place.open()
        alice.send(connect_packet("phone", username="alice", password="wonderland"))
        mallory.send(connect_packet("other", username="alice", password="looking-glass"))
        assert (await alice.expect(CONNACK)).body == b"\0\0"
        assert (await mallory.expect(CONNACK)).body == b"\0\5"
        for topic in ("b", "a/1"):
            alice.send(publish_packet(topic, b"x", qos=1))
        await eventually(lambda: len(node.messages) == 1)
        assert node.messages == [Message(topic="a/1", payload=b"x", qos=1, client_id="phone", user="alice")]
        assert engine.denied == 1
