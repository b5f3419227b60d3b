"""Fog nodes that share their work, as real programs."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from broker.contract.identity import Role
from broker.security.authority import make_authority, make_certificate
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import listening
from tests.support.programs import Program, fog_node
from weighbridge import Device

TIMEOUT = 60.0


@contextlib.contextmanager
def ring(
    folder: Path, *names: str, more: Sequence[str] = (), workers: str = "medium=1"
) -> Iterator[list[Program]]:
    """Nodes that are all neighbours of each other, with `workers` and `more` options each."""
    ports = {name: free_port() for name in names}
    with contextlib.ExitStack() as stack:
        nodes = []
        for name, port in ports.items():
            others = [f"mqtt://127.0.0.1:{other}" for one, other in ports.items() if one != name]
            options = [word for url in others for word in ("--neighbour", url)]
            listen = ("--listen", f"127.0.0.1:{port}")
            nodes.append(
                stack.enter_context(fog_node(folder, *listen, *options, *more, name=name, workers=workers))
            )
        for node in nodes:
            wait_for_neighbours(node, len(names) - 1)
        yield nodes


def wait_for_neighbours(node: Program, count: int) -> None:
    asyncio.run(eventually(lambda: node.stderr.count("the node is new") >= count, TIMEOUT))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Program]]:
    """For tests that leave them as they were."""
    folder = tmp_path_factory.mktemp("three")
    with ring(folder, "fog-a", "fog-b", "fog-c", workers="light=1,medium=1") as nodes:
        yield nodes


async def test_medium_tasks_are_shared_and_light_ones_stay(three: list[Program]) -> None:
    async with Device(three[0].url, name="me") as device:
        medium = [await device.send("medium", "sleep", 0.5) for _ in range(9)]
        light = [await device.send("light", "echo", "hello") for _ in range(9)]
        medium_outcomes = [await one.outcome(timeout=TIMEOUT) for one in medium]
        light_outcomes = [await one.outcome(timeout=TIMEOUT) for one in light]
    assert all(one.ok for one in (*medium_outcomes, *light_outcomes))
    assert all(one.route[-1] == "fog-a" for one in medium_outcomes)
    assert {one.node for one in light_outcomes} == {"fog-a"}
    assert {one.node for one in medium_outcomes} == {"fog-a", "fog-b", "fog-c"}


async def test_a_task_that_may_not_travel_stays(three: list[Program]) -> None:
    async with Device(three[0].url, name="me") as device:
        pending = [await device.send("medium", "sleep", {"seconds": 0.3, "$max_hops": 0}) for _ in range(6)]
        assert {(await one.outcome(timeout=TIMEOUT)).node for one in pending} == {"fog-a"}


def test_what_a_dead_neighbour_had_is_placed_anew(tmp_path: Path) -> None:
    async def submit(url: str, victim: Program) -> list[str]:
        async with Device(url, name="me") as device:
            pending = [await device.send("medium", "sleep", 2.0, progress=True) for _ in range(4)]
            async with asyncio.timeout(TIMEOUT):
                async for step in pending[1].progress():
                    if step.node != "fog-a":
                        break
            victim.kill()
            outcomes = [await one.outcome(timeout=TIMEOUT) for one in pending]
            assert all(one.ok for one in outcomes), outcomes
            return [one.node for one in outcomes]

    with ring(tmp_path, "fog-a", "fog-b") as (first, second):
        assert "fog-a" in asyncio.run(submit(first.url, second))


def test_a_neighbour_that_comes_back_at_another_address_is_taken_back(tmp_path: Path) -> None:
    ports = (free_port(), free_port())
    links = [word for port in ports for word in ("--neighbour", f"mqtt://127.0.0.1:{port}")]
    with fog_node(tmp_path, *links) as first:
        for times, port in enumerate(ports, 1):
            with fog_node(tmp_path, "--listen", f"127.0.0.1:{port}", name="fog-b") as second:
                wait_for_neighbours(first, times)
                second.kill()


def test_neighbours_find_each_other_on_the_network(tmp_path: Path) -> None:
    """Also one that lets in certificates only."""
    make_authority(tmp_path)
    names = (f"found-a-{os.getpid()}", f"found-b-{os.getpid()}")
    for name in names:
        make_certificate(tmp_path, name, Role.NODE, hosts=["127.0.0.1"])
    tls = {name: ("--cert", f"{tmp_path}/{name}.crt", "--key", f"{tmp_path}/{name}.key") for name in names}
    common = ("--discover", "--ca", f"{tmp_path}/ca.crt")
    secured = ("--listen", "off", "--listen-tls", "127.0.0.1:0", "--require-certificate")
    with (
        fog_node(tmp_path, *common, *secured, *tls[names[0]], name=names[0]) as first,
        fog_node(tmp_path, *common, *tls[names[1]], name=names[1]) as second,
    ):
        wait_for_neighbours(first, 1)
        wait_for_neighbours(second, 1)


def test_a_neighbour_is_asked_at_the_moment_of_decision(tmp_path: Path) -> None:
    """And one that does not answer holds nothing up here."""

    async def submit(url: str, second: Program) -> None:
        async with Device(url, name="me") as device:
            first = await device.send("medium", "sleep", 1.0)
            other = await device.send("medium", "echo", 1)
            assert (await other.outcome(timeout=TIMEOUT)).node == "fog-b"
            second.process.send_signal(signal.SIGSTOP)
            try:
                moves = await device.send("medium", "echo", 2)
                stays = await device.send("medium", "echo", {"$args": [2], "$max_hops": 0})
                assert (await stays.outcome(timeout=TIMEOUT)).ok
            finally:
                second.process.send_signal(signal.SIGCONT)
            assert (await first.outcome(timeout=TIMEOUT)).ok
            assert (await moves.outcome(timeout=TIMEOUT)).ok

    with (
        ring(tmp_path, "fog-a", "fog-b", more=("--policy", "probe")) as (first, second),
        listening(second.port, "fog/mesh/fog-b/asks/medium/echo/fog-a/+", count=1, shown="%t") as asks,
    ):
        asyncio.run(submit(first.url, second))
        assert len(asks.wait()) == 1
