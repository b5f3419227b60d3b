"""What stock amqtt does wrong, packet by packet: our broker and Mosquitto answer the same."""

import asyncio

import pytest

from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    Arrived,
    Place,
    Will,
    connect_packet,
    packet,
    publish_packet,
    text,
)


@pytest.mark.parametrize("topic", ["$SYS/broker/load", "$SYS/broker/connection/fog-b.bridge/state", "$own/x"])
async def test_a_publish_below_a_dollar_does_no_harm(broker: Place, topic: str) -> None:
    """A client that has published to a `$` topic is served as before."""
    listener = await broker.connect()
    await listener.subscribe(("a", 1))
    client = await broker.connect()
    await client.publish(topic, b"1", qos=1, retain=True)
    await client.publish("a", b"after", qos=1)
    assert await listener.pending() == [Arrived("a", b"after", 1)]


async def test_the_brokers_own_tree_is_not_a_clients_to_write(broker: Place) -> None:
    """What a client publishes below `$SYS` reaches nobody, but for the state of a bridge."""
    listener = await broker.connect()
    await listener.subscribe(("$SYS/mine/#", 1), ("$SYS/broker/connection/#", 1))
    client = await broker.connect()
    await client.publish("$SYS/mine/x", b"1", qos=1)
    await client.publish("$SYS/broker/connection/other/state", b"1", qos=1)
    assert await listener.pending() == [Arrived("$SYS/broker/connection/other/state", b"1", 1)]


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("subscribed", [0, 1, 2])
async def test_the_lower_of_both_qos_counts(broker: Place, published: int, subscribed: int) -> None:
    listener = await broker.connect()
    assert await listener.subscribe(("a/b", subscribed)) == [subscribed]
    client = await broker.connect()
    await client.publish("a/b", b"x", qos=published)
    assert await listener.pending() == [Arrived("a/b", b"x", min(published, subscribed))]


async def test_a_client_without_subscriptions_gets_nothing(broker: Place) -> None:
    """Retained messages that others subscribed to are not sent to a client that did not."""
    other = await broker.connect("other")
    await other.subscribe(("secret/#", 0))
    await other.publish("secret/a", b"x", qos=1, retain=True)
    client = await broker.connect("fresh")
    assert await client.pending() == []


async def test_a_silent_client_is_closed_and_its_will_sent(broker: Place) -> None:
    """One and a half times its keepalive after its last word."""
    listener = await broker.connect()
    await listener.subscribe(("will", 1))
    silent = await broker.connect(keepalive=1, will=Will("will", b"gone", qos=1))
    # Mosquitto looks for silent clients every five seconds or so.
    assert await silent.closed(patience=30.0)
    message = await listener.expect(PUBLISH)
    assert listener.read_publish(message) == Arrived("will", b"gone", 1)


async def test_pings_keep_a_client_alive(broker: Place) -> None:
    """A client that pings in time stays longer than its keepalive lasts."""
    lively = await broker.connect(keepalive=2)
    silent = await broker.connect(keepalive=2)
    async with asyncio.TaskGroup() as group:
        end = group.create_task(silent.closed(patience=30.0))
        while not end.done():
            assert await lively.ping() == []
            await asyncio.wait((end,), timeout=0.3)
    assert await lively.ping() == []


@pytest.mark.parametrize("qos", [1, 2])
async def test_an_unacknowledged_message_comes_again_with_dup(broker: Place, qos: int) -> None:
    client = await broker.connect("me", clean=False)
    await client.subscribe(("a", qos))
    sender = await broker.connect()
    for number in range(3):
        await sender.publish("a", b"%d" % number, qos=qos)
    first = await client.pending(acknowledge=False)
    assert first == [Arrived("a", b"%d" % number, qos) for number in range(3)]
    client.drop()
    client = await broker.connect("me", clean=False, present=True)
    assert await client.pending() == [Arrived("a", b"%d" % number, qos, dup=True) for number in range(3)]
    await client.disconnect()
    client = await broker.connect("me", clean=False, present=True)
    assert await client.pending() == []


async def test_a_qos_2_delivery_goes_on_where_it_stopped(broker: Place) -> None:
    """After PUBREC a reconnected client gets PUBREL, not the message again."""
    client = await broker.connect("me", clean=False)
    await client.subscribe(("a", 2))
    sender = await broker.connect()
    await sender.publish("a", b"x", qos=2)
    message = await client.expect(PUBLISH)
    client.send_ack(PUBREC, message.packet_id)
    await client.expect(PUBREL)
    client.drop()
    client = await broker.connect("me", clean=False, present=True)
    release = await client.expect(PUBREL)
    assert release.packet_id == message.packet_id
    client.send_ack(PUBCOMP, release.packet_id)
    assert await client.pending() == []


async def test_messages_wait_for_a_persistent_session(broker: Place) -> None:
    """QoS 1 and 2 wait, in order and without RETAIN; QoS 0 does not."""
    client = await broker.connect("me", clean=False)
    await client.subscribe(("a/#", 2))
    await client.disconnect()
    sender = await broker.connect()
    for qos in (0, 1, 2, 1):
        await sender.publish(f"a/{qos}", b"x", qos=qos)
    client = await broker.connect("me", clean=False, present=True)
    assert await client.pending() == [
        Arrived("a/1", b"x", 1),
        Arrived("a/2", b"x", 2),
        Arrived("a/1", b"x", 1),
    ]


async def test_a_refused_connect_leaves_the_owner_of_the_name_alone(broker: Place) -> None:
    """A CONNECT that is not acceptable does nothing to the client it names."""
    owner = await broker.connect("owner", clean=False)
    await owner.subscribe(("a", 1))
    intruder = await broker.open()
    intruder.send(connect_packet("owner", clean=True, level=6))
    assert await intruder.closed()
    sender = await broker.connect()
    await sender.publish("a", b"x", qos=1)
    assert await owner.pending() == [Arrived("a", b"x", 1)]


@pytest.mark.parametrize("clean", [True, False])
async def test_a_take_over_closes_the_old_socket(broker: Place, *, clean: bool) -> None:
    old = await broker.connect("me", clean=clean)
    await old.subscribe(("a", 0))
    new = await broker.connect("me", clean=clean, present=not clean)
    assert await old.closed()
    await new.publish("a", b"x", qos=1)
    assert await new.pending() == ([] if clean else [Arrived("a", b"x", 0)])


async def test_a_take_over_sends_the_will_of_the_old_connection(broker: Place) -> None:
    listener = await broker.connect()
    await listener.subscribe(("will", 0))
    old = await broker.connect("me", will=Will("will", b"gone"))
    await broker.connect("me")
    assert await old.closed()
    assert await listener.pending() == [Arrived("will", b"gone")]


async def test_subscribing_again_replaces_the_qos(broker: Place) -> None:
    client = await broker.connect()
    await client.subscribe(("a", 2))
    await client.subscribe(("a", 0))
    await client.publish("a", b"x", qos=2)
    assert await client.pending() == [Arrived("a", b"x", 0)]


async def test_overlapping_subscriptions_get_one_copy(broker: Place) -> None:
    client = await broker.connect()
    await client.subscribe(("a/b", 1), ("a/+", 1), ("a/#", 1), ("#", 1))
    await client.publish("a/b", b"x", qos=1)
    assert await client.pending() == [Arrived("a/b", b"x", 1)]


async def test_a_group_shares_its_messages(broker: Place) -> None:
    """Each message goes to one member, and the members take turns."""
    members = [await broker.connect() for _ in range(2)]
    for member in members:
        assert await member.subscribe(("$share/workers/job/+", 1)) == [1]
    sender = await broker.connect()
    for number in range(10):
        await sender.publish(f"job/{number}", b"x", qos=1)
    first, second = [await member.pending() for member in members]
    assert len(first) == len(second) == 5
    assert {one.topic for one in first + second} == {f"job/{number}" for number in range(10)}


async def test_a_member_that_leaves_gets_nothing_more(broker: Place) -> None:
    staying, leaving = await broker.connect(), await broker.connect()
    for member in (staying, leaving):
        await member.subscribe(("$share/g/a", 0))
    await leaving.unsubscribe("$share/g/a")
    await staying.publish("a", b"1", qos=1)
    await staying.publish("a", b"2", qos=1)
    assert len(await staying.pending()) == 2
    assert await leaving.pending() == []


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(64),
        b"\xff" * 64,
        packet(PINGREQ),
        packet(1, text("MQTT")),
        connect_packet("x", name="MQXX"),
        packet(1, text("MQTT") + b"\x04\x03\0\0" + text("x")),
        b"\x10\xff\xff\xff\xff\x7f",
    ],
)
async def test_garbage_as_first_packet_closes(broker_of_3: Place, data: bytes) -> None:
    client = await broker_of_3.open()
    client.send(data)
    assert await client.closed()


async def test_a_bridge_keeps_retain_and_does_not_hear_itself(broker_of_3: Place) -> None:
    """Mosquitto's bridges say with a bit of the protocol level that they are brokers."""
    bridge = await broker_of_3.connect("bridge", level=0x84)
    await bridge.subscribe(("#", 1))
    await bridge.publish("mine", b"1", qos=1)
    sender = await broker_of_3.connect()
    await sender.publish("state", b"on", qos=1, retain=True)
    assert await bridge.pending() == [Arrived("state", b"on", 1, retain=True)]


async def test_packets_may_arrive_in_any_pieces(broker_of_3: Place) -> None:
    """Byte by byte, and several in one."""
    client = await broker_of_3.open()
    for byte in connect_packet("slow") + publish_packet("a", b"x" * 200, qos=1):
        client.send(bytes((byte,)))
        await asyncio.sleep(0)
    await client.expect(CONNACK)
    await client.expect(PUBACK)
    client.send(b"".join(publish_packet("a", b"", qos=1, packet_id=number) for number in range(2, 50)))
    assert [(await client.expect(PUBACK)).packet_id for _ in range(2, 50)] == list(range(2, 50))
