"""The behaviours of Eclipse Paho's interoperability suite for MQTT 3.1.1: our broker and Mosquitto."""

import pytest

from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    Arrived,
    Place,
    Will,
    connect_packet,
    packet,
    publish_packet,
)


async def test_messages_of_one_client_arrive_in_order(broker: Place) -> None:
    client = await broker.connect()
    assert await client.subscribe(("t/0", 2), ("t/1", 1), ("t/+", 0)) == [2, 1, 0]
    for number in range(50):
        await client.publish("t/0", b"%d" % number, qos=1)
    assert await client.pending() == [Arrived("t/0", b"%d" % number, 1) for number in range(50)]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_retained_message_comes_with_each_subscription(broker: Place, qos: int) -> None:
    """With RETAIN set, for as often as the client subscribes, and with the lower of both QoS."""
    sender = await broker.connect()
    await sender.publish("r/a", b"old", qos=qos, retain=True)
    await sender.publish("r/a", b"new", qos=qos, retain=True)
    client = await broker.connect()
    for _ in range(2):
        await client.subscribe(("r/+", 1))
        assert await client.pending() == [Arrived("r/a", b"new", min(qos, 1), retain=True)]


async def test_a_live_message_has_no_retain_flag(broker: Place) -> None:
    client = await broker.connect()
    await client.subscribe(("r", 1))
    await client.publish("r", b"x", qos=1, retain=True)
    assert await client.pending() == [Arrived("r", b"x", 1)]


async def test_an_empty_payload_clears_a_retained_message(broker: Place) -> None:
    """It is sent on to those who listen, and nothing is retained after it."""
    client = await broker.connect()
    await client.publish("r", b"x", qos=1, retain=True)
    listener = await broker.connect()
    await listener.subscribe(("r", 1))
    await listener.pending()
    await client.publish("r", b"", qos=1, retain=True)
    assert await listener.pending() == [Arrived("r", b"", 1)]
    await listener.subscribe(("r", 1))
    assert await listener.pending() == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("#", {"a", "a/b", "a/b/c", "/a"}),
        ("+", {"a"}),
        ("a/#", {"a", "a/b", "a/b/c"}),
        ("+/+", {"a/b", "/a"}),
        ("/+", {"/a"}),
        ("a/+/c", {"a/b/c"}),
        ("$own/#", {"$own/x"}),
        ("$own/+", {"$own/x"}),
        ("+/x", set()),
    ],
)
async def test_retained_messages_are_found_by_filter(broker: Place, wanted: str, found: set[str]) -> None:
    """Wildcards at the first level do not match what begins with `$`."""
    client = await broker.connect()
    for topic in ("a", "a/b", "a/b/c", "/a", "$own/x"):
        await client.publish(topic, b"x", qos=1, retain=True)
    await client.subscribe((wanted, 0))
    assert {one.topic for one in await client.pending()} == found


@pytest.mark.parametrize("wanted", ["#", "+/x"])
async def test_wildcards_do_not_match_live_dollar_topics(broker: Place, wanted: str) -> None:
    client = await broker.connect()
    await client.subscribe((wanted, 1))
    await client.publish("$own/x", b"hidden", qos=1)
    await client.publish("own/x", b"seen", qos=1)
    assert await client.pending() == [Arrived("own/x", b"seen", 1)]


async def test_nothing_comes_after_unsubscribing(broker: Place) -> None:
    """Of several filters only those named end, and one that was never there does no harm."""
    client = await broker.connect()
    await client.subscribe(("a", 1), ("b", 1), ("c/#", 1))
    await client.unsubscribe("a", "c/#", "never")
    for topic in ("a", "b", "c", "c/d"):
        await client.publish(topic, b"x", qos=1)
    assert await client.pending() == [Arrived("b", b"x", 1)]


async def test_an_empty_client_id_is_given_a_name_of_its_own(broker: Place) -> None:
    """Two of them do not take each other over."""
    first, second = await broker.connect(""), await broker.connect("")
    assert await first.ping() == []
    assert await second.ping() == []


async def test_an_empty_client_id_with_a_persistent_session_is_refused(broker_of_3: Place) -> None:
    client = await broker_of_3.open()
    client.send(connect_packet("", clean=False))
    assert (await client.expect(CONNACK)).body == b"\0\2"
    assert await client.closed()


@pytest.mark.parametrize("retain", [False, True])
async def test_a_will_follows_a_lost_connection(broker: Place, *, retain: bool) -> None:
    listener = await broker.connect()
    await listener.subscribe(("will", 2))
    doomed = await broker.connect(will=Will("will", b"gone", qos=2, retain=retain))
    doomed.drop()
    message = await listener.expect(PUBLISH)
    assert listener.read_publish(message) == Arrived("will", b"gone", 2)
    late = await broker.connect()
    await late.subscribe(("will", 0))
    assert await late.pending() == ([Arrived("will", b"gone", retain=True)] if retain else [])


async def test_no_will_follows_a_disconnect(broker: Place) -> None:
    listener = await broker.connect()
    await listener.subscribe(("will", 1))
    leaving = await broker.connect(will=Will("will", b"gone", qos=1))
    await leaving.disconnect()
    assert await listener.pending() == []


async def test_a_will_follows_a_protocol_error(broker: Place) -> None:
    listener = await broker.connect()
    await listener.subscribe(("will", 1))
    faulty = await broker.connect(will=Will("will", b"gone", qos=1))
    faulty.send(packet(15))
    assert await faulty.closed()
    assert await listener.pending() == [Arrived("will", b"gone", 1)]


async def test_a_persistent_client_that_comes_back_over_itself_sends_no_will(broker_of_3: Place) -> None:
    """Else the will would follow the state that the new connection tells."""
    listener = await broker_of_3.connect()
    await listener.subscribe(("will", 1))
    old = await broker_of_3.connect("me", clean=False, will=Will("will", b"gone", qos=1))
    await broker_of_3.connect("me", clean=False, present=True)
    assert await old.closed()
    assert await listener.pending() == []


async def test_a_clean_connect_ends_the_persistent_session(broker: Place) -> None:
    client = await broker.connect("me", clean=False)
    await client.subscribe(("a", 1))
    await client.disconnect()
    client = await broker.connect("me", clean=True)
    await client.publish("a", b"x", qos=1)
    assert await client.pending() == []
    await client.disconnect()
    await broker.connect("me", clean=False, present=False)


async def test_a_qos_2_publish_sent_twice_is_taken_in_once(broker: Place) -> None:
    """Until it is released; then its identifier may be used for another."""
    listener = await broker.connect()
    await listener.subscribe(("a", 2))
    client = await broker.connect()
    for dup in (False, True):
        client.send_publish("a", b"1", qos=2, dup=dup, packet_id=7)
        assert (await client.expect(PUBREC)).packet_id == 7
    for _ in range(2):
        client.send_ack(6, 7)
        assert (await client.expect(PUBCOMP)).packet_id == 7
    client.send_publish("a", b"2", qos=2, packet_id=7)
    await client.expect(PUBREC)
    client.send_ack(6, 7)
    await client.expect(PUBCOMP)
    assert await listener.pending() == [Arrived("a", b"1", 2), Arrived("a", b"2", 2)]


async def test_a_qos_2_publish_is_known_after_a_reconnect(broker: Place) -> None:
    """The client has not heard PUBREC and sends it again: it is still one message."""
    listener = await broker.connect()
    await listener.subscribe(("a", 2))
    client = await broker.connect("me", clean=False)
    client.send_publish("a", b"1", qos=2, packet_id=7)
    await client.expect(PUBREC)
    client.drop()
    client = await broker.connect("me", clean=False, present=True)
    client.send_publish("a", b"1", qos=2, dup=True, packet_id=7)
    await client.expect(PUBREC)
    client.send_ack(6, 7)
    await client.expect(PUBCOMP)
    assert await listener.pending() == [Arrived("a", b"1", 2)]


@pytest.mark.parametrize("qos", [1, 2])
async def test_no_more_than_the_window_is_on_its_way(broker: Place, qos: int) -> None:
    """Twenty by default; one more leaves for each that has arrived, and all arrive in order."""
    client = await broker.connect()
    await client.subscribe(("a", qos))
    sender = await broker.connect()
    for number in range(50):
        await sender.publish("a", b"%d" % number, qos=qos)
    first = await client.ping()
    assert len(first) == 20
    for one in first:
        client.acknowledge(one)
    arrived = [client.read_publish(one) for one in first] + await client.pending()
    assert arrived == [Arrived("a", b"%d" % number, qos) for number in range(50)]


async def test_acknowledging_what_was_never_sent_does_no_harm(broker: Place) -> None:
    client = await broker.connect()
    client.send_ack(PUBACK, 9)
    client.send_ack(PUBCOMP, 9)
    assert await client.ping() == []


async def test_a_message_may_be_large(broker: Place) -> None:
    """Two megabytes, in many segments both ways."""
    client = await broker.connect()
    await client.subscribe(("a", 1))
    payload = bytes(range(256)) * 8192
    await client.publish("a", payload, qos=1)
    assert await client.pending() == [Arrived("a", payload, 1)]


async def test_nothing_after_a_disconnect_counts(broker: Place) -> None:
    listener = await broker.connect()
    await listener.subscribe(("a", 0))
    client = await broker.connect()
    client.send(packet(14) + publish_packet("a", b"late") + packet(PINGREQ))
    assert await client.closed()
    assert await listener.pending() == []
