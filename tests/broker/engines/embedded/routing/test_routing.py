"""How messages find their way in the embedded broker itself: groups, `$SYS`, changes meanwhile."""

import asyncio
from dataclasses import replace

import pytest

from broker.contract.message import Message
from broker.engines.embedded import EmbeddedSettings
from broker.errors import EngineError, EngineUnavailable
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded
from tests.broker.engines.embedded.raw_client import Arrived, RawClient
from tests.support.eventually import eventually

BASIC = EmbeddedSettings(listen=LOOPBACK)


async def test_the_highest_qos_of_overlapping_subscriptions_counts() -> None:
    """As MQTT 3.1.1 has it (3.3.5); Mosquitto 2.0 takes that of whichever it finds first."""
    async with embedded() as (engine, place):
        client = await place.connect()
        await client.subscribe(("a/+", 0), ("a/#", 2), ("a/b", 1))
        engine.publish(Message(topic="a/b", payload=b"x", qos=2))
        assert await client.pending() == [Arrived("a/b", b"x", 2)]


async def test_a_group_prefers_who_is_there() -> None:
    """An absent member gets a message only where nobody is connected."""
    async with embedded() as (engine, place):
        absent = await place.connect("absent", clean=False)
        await absent.subscribe(("$share/g/a", 1))
        await absent.disconnect()
        there = await place.connect()
        await there.subscribe(("$share/g/a", 1))
        for number in range(4):
            engine.publish(Message(topic="a", payload=b"%d" % number, qos=1))
        assert len(await there.pending()) == 4
        await there.disconnect()
        engine.publish(Message(topic="a", payload=b"4", qos=1))
        absent = await place.connect("absent", clean=False, present=True)
        assert await absent.pending() == [Arrived("a", b"4", 1)]


async def test_a_member_whose_window_is_full_is_passed_over() -> None:
    async with embedded(replace(BASIC, window=2)) as (engine, place):
        slow, quick = await place.connect(), await place.connect()
        for member in (slow, quick):
            await member.subscribe(("$share/g/a", 1))
        for _ in range(2):
            for number in range(4):
                engine.publish(Message(topic="a", payload=b"%d" % number, qos=1))
            await quick.pending()
        assert len(await slow.pending(acknowledge=False)) == 2


async def test_a_group_and_a_plain_subscription_get_a_copy_each() -> None:
    async with embedded() as (engine, place):
        client = await place.connect()
        await client.subscribe(("$share/g/a", 1), ("$share/h/a", 0), ("a", 0))
        engine.publish(Message(topic="a", payload=b"x", qos=1))
        assert sorted(await client.pending()) == [
            Arrived("a", b"x", 0),
            Arrived("a", b"x", 0),
            Arrived("a", b"x", 1),
        ]


@pytest.mark.parametrize("filter", ["$share/g", "$share/g/", "$share//a", "$share/+/a"])
async def test_a_shared_filter_without_a_group_or_filter_fails(filter: str) -> None:
    async with embedded() as (_, place):
        client = await place.connect()
        assert await client.subscribe((filter, 1)) == [0x80]


async def test_a_shared_subscription_gets_no_retained_messages() -> None:
    async with embedded() as (engine, place):
        engine.publish(Message(topic="a", payload=b"x", retain=True))
        client = await place.connect()
        await client.subscribe(("$share/g/a", 1))
        assert await client.pending() == []


@pytest.mark.parametrize("topic", ["fog/tasks/light/sum/me/1", "fog/cancel/me/1", "fog/mesh/a/results/k"])
async def test_what_is_for_once_is_never_retained(topic: str) -> None:
    """It reaches who has subscribed like any other message; the empty one that would clear it does not."""
    async with embedded() as (engine, place):
        client, other = await place.connect(), await place.connect()
        await client.subscribe(("fog/#", 1))
        await other.publish(topic, b"[1]", qos=1, retain=True)
        await other.publish(topic, b"", qos=1, retain=True)
        assert await client.pending() == [Arrived(topic, b"[1]", 1)]
        await other.subscribe(("fog/#", 1))
        assert await other.pending() == []
        assert engine.counters.dropped_retained == 0


async def test_the_broker_tells_of_itself() -> None:
    """At once to who subscribes, and then whatever has changed; clients cannot write there."""
    async with embedded(replace(BASIC, sys_interval=0.05)) as (_, place):
        client = await place.connect()
        await client.subscribe(("$SYS/broker/#", 1))
        found: dict[str, Arrived] = {}

        async def see() -> None:
            while found.get("$SYS/broker/clients/connected", Arrived("", b"")).payload != b"1":
                one = client.read_publish(await client.receive())
                found[one.topic] = one

        await asyncio.wait_for(see(), 10)
        for name in ("version", "uptime", "clients/total", "subscriptions/count", "bytes/sent"):
            assert f"$SYS/broker/{name}" in found
        await client.publish("$SYS/broker/version", b"forged", qos=1, retain=True)
        other = await place.connect()
        await other.subscribe(("$SYS/broker/version", 0))
        (version,) = await other.pending()
        assert version.payload.startswith(b"weighbridge version ")
        assert version.retain


async def test_nothing_is_told_where_that_is_switched_off() -> None:
    async with embedded(replace(BASIC, sys_interval=0.0)) as (_, place):
        client = await place.connect()
        await client.subscribe(("$SYS/#", 0))
        assert await client.pending() == []


async def test_subscriptions_may_change_while_messages_fan_out() -> None:
    """Those who stay get every message."""
    async with embedded() as (engine, place):
        staying = [await place.connect() for _ in range(5)]
        for client in staying:
            await client.subscribe(("churn/#", 1))
        changing = await place.connect()

        async def churn() -> None:
            for _ in range(60):
                await changing.subscribe(("churn/#", 0))
                await changing.pending()
                await changing.unsubscribe("churn/#")

        async def publish() -> None:
            for number in range(300):
                engine.publish(Message(topic=f"churn/{number % 7}", payload=b"%d" % number, qos=1))
                if number % 5 == 4:
                    await asyncio.sleep(0)

        async def read(client: RawClient) -> None:
            arrived: list[Arrived] = []
            while len(arrived) < 300:
                arrived += await client.pending()
            assert [int(message.payload) for message in arrived] == list(range(300))

        async with asyncio.TaskGroup() as group:
            group.create_task(publish())
            group.create_task(churn())
            for client in staying:
                group.create_task(read(client))


async def test_an_engine_that_does_not_run_says_so() -> None:
    async with embedded() as (engine, place):
        client = await place.connect()
        await engine.stop()
        await engine.stop()
        assert await client.closed()
        assert not engine.connected
        with pytest.raises(EngineUnavailable):
            engine.publish(Message(topic="a", payload=b"x"))


async def test_a_port_that_is_taken_is_told_in_one_sentence() -> None:
    async with embedded() as (_, place):
        taken = replace(BASIC, listen=replace(LOOPBACK, port=place.port))
        with pytest.raises(EngineError, match=f"cannot listen on 127.0.0.1:{place.port}: .*another address"):
            async with embedded(taken):
                pass


async def test_maximum_of_clients_is_remembered() -> None:
    async with embedded(replace(BASIC, sys_interval=0.02)) as (engine, place):
        clients = [await place.connect() for _ in range(3)]
        await eventually(lambda: engine.counters.clients_maximum == 3)
        for client in clients:
            await client.disconnect()
        assert engine.counters.clients_maximum == 3
