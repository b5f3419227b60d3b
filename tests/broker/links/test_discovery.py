"""Over real multicast on loopback."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from broker.contract.address import Address
from broker.links import discovery
from broker.links.discovery import SERVICE, Discovery, Found, Lost, find, interfaces

LOOPBACK = ["127.0.0.1"]
TIMEOUT = 20.0
MARK = "0123abcd"


def named(letter: str) -> str:
    """The name of a node of this test run's: another run may be on the same network."""
    return f"mdns-{letter}-{os.getpid()}"


async def next_of(changes: AsyncIterator[Found | Lost], node: str) -> Found | Lost:
    """The next change of one node: others may be on this machine."""
    async with asyncio.timeout(TIMEOUT):
        async for change in changes:
            if change.node == node:
                return change
    raise AssertionError("the changes have ended")


async def test_a_node_is_found_and_its_leaving_is_noticed() -> None:
    async with Discovery(LOOPBACK) as watcher:
        changes = watcher.changes()
        async with Discovery(LOOPBACK) as node:
            await node.announce(named("a"), 18831, MARK)
            assert await next_of(changes, named("a")) == Found(named("a"), "mqtt://127.0.0.1:18831", MARK)
        assert await next_of(changes, named("a")) == Lost(named("a"), "mqtt://127.0.0.1:18831")
        await changes.aclose()


async def test_a_node_that_speaks_tls_says_so() -> None:
    async with Discovery(LOOPBACK) as node, Discovery(LOOPBACK) as watcher:
        changes = watcher.changes()
        await node.announce(named("i"), 18840, MARK, tls=True)
        assert await next_of(changes, named("i")) == Found(named("i"), "mqtts://127.0.0.1:18840", MARK)
        await changes.aclose()


async def test_two_nodes_on_one_machine_are_told_apart() -> None:
    async with Discovery(LOOPBACK) as one, Discovery(LOOPBACK) as other:
        await one.announce(named("b"), 18832, MARK)
        await other.announce(named("c"), 18833, MARK)
        async with Discovery(LOOPBACK) as watcher:
            changes = watcher.changes()
            found: set[str] = set()
            async with asyncio.timeout(TIMEOUT):
                while not {"mqtt://127.0.0.1:18832", "mqtt://127.0.0.1:18833"} <= found:
                    change = await anext(changes)
                    assert isinstance(change, Found)
                    found.add(change.url)
            await changes.aclose()


async def test_two_nodes_of_one_name_are_found_and_told_apart_by_their_marks() -> None:
    async with Discovery(LOOPBACK) as one, Discovery(LOOPBACK) as other, Discovery(LOOPBACK) as watcher:
        changes = watcher.changes()
        await asyncio.gather(
            one.announce(named("d"), 18834, "0000aaaa"), other.announce(named("d"), 18834, "0000bbbb")
        )
        marks: set[str] = set()
        while marks != {"0000aaaa", "0000bbbb"}:
            change = await next_of(changes, named("d"))
            assert isinstance(change, Found)
            marks.add(change.mark)
        await changes.aclose()


async def test_what_is_announced_already_is_refused() -> None:
    async with Discovery(LOOPBACK) as one, Discovery(LOOPBACK) as other:
        await one.announce(named("j"), 18841, MARK)
        with pytest.raises(OSError, match="announced by mDNS already"):
            await other.announce(named("j"), 18842, MARK)


async def test_other_brokers_and_nodes_of_another_version_are_left_alone() -> None:
    strangers = [
        AsyncServiceInfo(SERVICE, f"{name}.{SERVICE}", port=port, parsed_addresses=LOOPBACK, properties=told)
        for name, port, told in (
            (named("f"), 18837, {}),
            (named("h"), 18839, {"node": named("h"), "protocol": "2"}),
        )
    ]
    async with Discovery(LOOPBACK) as node, Discovery(LOOPBACK) as watcher:
        mdns = AsyncZeroconf(interfaces=LOOPBACK)
        try:
            await asyncio.gather(*[await mdns.async_register_service(one) for one in strangers])
            changes = watcher.changes()
            await node.announce(named("g"), 18838, MARK)
            seen = set()
            async with asyncio.timeout(TIMEOUT):
                while (change := await anext(changes)).node != named("g"):
                    seen.add(change)
            await changes.aclose()
            ports = [one.url.rpartition(":")[2] for one in seen if isinstance(one, Found)]
            assert not {"18837", "18839"} & set(ports)
        finally:
            await mdns.async_close()


async def test_a_device_finds_a_node() -> None:
    async with Discovery(LOOPBACK) as node:
        await node.announce(named("e"), 18836, MARK)
        found = await find(LOOPBACK, TIMEOUT)
    assert found is not None


async def test_a_device_alone_finds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    # Under a service of its own: nodes of other tests, and of other test runs, are on the same network.
    monkeypatch.setattr(discovery, "SERVICE", f"_mqtt{os.getpid()}._tcp.local.")
    assert await find(["127.0.0.2"], 0.2) is None


def test_a_node_on_loopback_is_not_shown_to_the_network() -> None:
    assert interfaces(Address("127.0.0.1", 1883)) == ["127.0.0.1"]
    assert interfaces(Address("localhost", 1883)) == ["127.0.0.1"]
    assert not any(one.startswith("127.") for one in interfaces(Address("0.0.0.0", 1883)))
