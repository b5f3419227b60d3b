"""What a node is handed, and what an acknowledgement of ours means."""

import asyncio

import pytest

from broker.contract.message import Message
from broker.contract.refusal import Refusal, Taken
from broker.engines.embedded import EmbeddedSettings
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PINGRESP,
    PUBACK,
    PUBCOMP,
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


def tell(client: RawClient, *numbers: int, qos: int = 1, dup: bool = False) -> None:
    for number in numbers:
        client.send(publish_packet("task", b"%d" % number, qos=qos, packet_id=number, dup=dup))


@pytest.mark.parametrize(("qos", "answer"), [(1, PUBACK), (2, PUBREC)])
async def test_an_acknowledgement_waits_for_the_node(qos: int, answer: int) -> None:
    """Other packets are answered meanwhile."""
    node = StoringNode()
    async with embedded(receiver=node, filters=("task",)) as (_, place):
        client = await place.connect("phone")
        tell(client, 1, qos=qos)
        assert await client.ping() == []
        node.futures[0].set_result(None)
        assert (await client.expect(answer)).packet_id == 1
        assert node.messages == [Message(topic="task", payload=b"1", qos=qos, client_id="phone")]


async def test_acknowledgements_leave_in_the_order_of_the_publishes() -> None:
    node = StoringNode()
    async with embedded(receiver=node, filters=("task",)) as (_, place):
        client = await place.connect()
        tell(client, 1, 2, 3)
        assert await client.ping() == []
        for future in reversed(node.futures[1:]):
            future.set_result(None)
        assert await client.ping() == []
        node.futures[0].set_result(None)
        assert [(await client.expect(PUBACK)).packet_id for _ in range(3)] == [1, 2, 3]


async def test_one_clients_wait_is_not_anothers() -> None:
    node = StoringNode()
    async with embedded(receiver=node, filters=("task",)) as (_, place):
        waiting, other = await place.connect(), await place.connect()
        tell(waiting, 1)
        assert await waiting.ping() == []
        tell(other, 2)
        await eventually(lambda: len(node.futures) == 2)
        node.futures[1].set_result(None)
        assert (await other.expect(PUBACK)).packet_id == 2
        assert await waiting.ping() == []


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_could_not_be_stored_ends_the_connection(qos: int, *, cancelled: bool) -> None:
    """Without an acknowledgement, also of what came after it."""
    node = StoringNode()
    async with embedded(receiver=node, filters=("task",)) as (_, place):
        client = await place.connect("me", clean=False)
        tell(client, 1, 2, qos=qos)
        assert await client.ping() == []
        node.futures[1].set_result(None)
        if cancelled:
            node.futures[0].cancel()
        else:
            node.futures[0].set_exception(OSError("disk full"))
        with pytest.raises(Closed):
            await client.receive()
        client = await place.connect("me", clean=False, present=True)
        tell(client, 1, qos=qos, dup=True)
        await eventually(lambda: node.payloads == [b"1", b"2", b"1"])


async def test_a_qos_2_duplicate_is_not_handed_over_twice() -> None:
    """Its PUBREC waits for the same future; after PUBREL the identifier is free."""
    node = StoringNode()
    async with embedded(receiver=node, filters=("task",)) as (_, place):
        client = await place.connect()
        tell(client, 1, qos=2)
        tell(client, 1, qos=2, dup=True)
        assert await client.ping() == []
        assert node.payloads == [b"1"]
        node.futures[0].set_result(None)
        for _ in range(2):
            assert (await client.expect(PUBREC)).packet_id == 1
        client.send_ack(PUBREL, 1)
        await client.expect(PUBCOMP)
        tell(client, 1, qos=2)
        await eventually(lambda: node.payloads == [b"1", b"1"])


@pytest.mark.parametrize(("qos", "answer"), [(1, PUBACK), (2, PUBREC)])
async def test_what_the_node_refuses_is_acknowledged_once_it_is_known(qos: int, answer: int) -> None:
    """MQTT 3.1.1 has no other answer: the publisher would send it again and again."""
    refusal, later = Refusal(0x97, "try later"), asyncio.get_running_loop().create_future()
    answers: list[Taken] = [refusal, later]
    async with embedded(receiver=lambda _: answers.pop(0), filters=("task",)) as (_, place):
        client = await place.connect()
        tell(client, 1, 2, qos=qos)
        assert (await client.expect(answer)).packet_id == 1
        assert await client.ping() == []
        later.set_result(refusal)
        assert (await client.expect(answer)).packet_id == 2


async def test_a_duplicate_after_a_reconnect_waits_for_the_first() -> None:
    node = StoringNode()
    async with embedded(receiver=node, filters=("task",)) as (_, place):
        client = await place.connect("me", clean=False)
        tell(client, 1, qos=2)
        assert await client.ping() == []
        client.drop()
        client = await place.connect("me", clean=False, present=True)
        tell(client, 1, qos=2, dup=True)
        assert await client.ping() == []
        node.futures[0].set_result(None)
        await client.expect(PUBREC)
        assert node.payloads == [b"1"]


async def test_only_what_matches_is_handed_over() -> None:
    """Subscribers get it as well, and what the node publishes does not come back to it."""
    node = StoringNode()
    async with embedded(receiver=node, filters=("task/+", "cancel/#")) as (engine, place):
        client = await place.connect()
        await client.subscribe(("#", 0))
        for topic in ("task/a", "task/a/b", "cancel", "$own/task/a", "other"):
            client.send(publish_packet(topic, b"x"))
        engine.publish(Message(topic="task/mine", payload=b"x"))
        topics = {one.topic for one in await client.pending()}
        assert [message.topic for message in node.messages] == ["task/a", "cancel"]
        assert topics == {"task/a", "task/a/b", "cancel", "other", "task/mine"}


async def test_a_will_is_handed_over_too() -> None:
    node = StoringNode()
    async with embedded(receiver=node, filters=("task",)) as (_, place):
        doomed = await place.connect("me", will=Will("task", b"gone", qos=1))
        doomed.drop()
        await eventually(lambda: node.payloads == [b"gone"])


async def test_a_paused_broker_leaves_publishes_unacknowledged() -> None:
    """Who is connected goes on receiving; who connects is told that the server is unavailable."""
    node = StoringNode()
    async with embedded(receiver=node, filters=("task",)) as (engine, place):
        client = await place.connect()
        await client.subscribe(("result", 1))
        tell(client, 1)
        assert await client.ping() == []
        await engine.pause()
        tell(client, 2)
        tell(client, 3, qos=2)
        assert await client.ping() == []
        node.futures[0].set_result(None)
        assert (await client.expect(PUBACK)).packet_id == 1
        engine.publish(Message(topic="result", payload=b"done", qos=1))
        assert await client.pending() == [Arrived("result", b"done", 1)]
        late = await place.open()
        late.send(connect_packet("late"))
        assert (await late.expect(CONNACK)).body == b"\0\3"
        assert node.payloads == [b"1"]


async def test_a_client_that_waits_for_much_is_read_no_further() -> None:
    """It is read again as soon as the node has stored enough of it, and nothing is lost."""
    node = StoringNode()
    async with embedded(
        EmbeddedSettings(listen=LOOPBACK, pending_acks=10), receiver=node, filters=("task",)
    ) as (_, place):
        client = await place.connect()
        tell(client, *range(1, 12))
        await eventually(lambda: len(node.futures) == 11)
        tell(client, 12)
        client.send(b"\xc0\0")
        with pytest.raises(TimeoutError):
            await client.receive(patience=0.1)
        for future in node.futures[:]:
            future.set_result(None)
        assert [(await client.expect(PUBACK)).packet_id for _ in range(11)] == list(range(1, 12))
        await client.expect(PINGRESP)
        node.futures[11].set_result(None)
        assert (await client.expect(PUBACK)).packet_id == 12
