"""Fog nodes, a cloud and a device that are on different hosts, with cables that can be pulled out."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.hosts.town import FOG, PORT, TIMEOUT, Listener, Town, wait_for
from tests.support.hosts import Hosts, require_hosts


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """All of them, once the fog nodes have found each other and the cloud."""
    require_hosts()
    with Hosts() as hosts, contextlib.ExitStack() as stack:
        town = Town(hosts, tmp_path_factory.mktemp("town"), stack)
        for name in ("cloud", *FOG):
            town.start(name)
        for node in town.nodes.values():
            node.wait_ready()
        for name in FOG:
            wait_for(partial(has_neighbours, town, name), f"{name} has two neighbours")
        yield town


@pytest.fixture(scope="module")
def listener(town: Town) -> Iterator[Listener]:
    with town.listening() as listener:
        yield listener


def has_neighbours(town: Town, name: str) -> bool:
    return neighbours_heard(town, name) == len(FOG) - 1


def neighbours_heard(town: Town, name: str) -> int:
    return town.nodes[name].stderr.count("the node is new, or has come back")


def clouds_heard(town: Town) -> int:
    return town.nodes["fog-a"].stderr.count("change=joined")


def test_nodes_find_each_other_by_mdns(town: Town) -> None:
    for name in FOG:
        others = [other for other in FOG if other != name]
        assert all(f"neighbour={other}" in town.nodes[name].stderr for other in others)


def test_a_device_finds_a_node_by_mdns(town: Town) -> None:
    device = town.device("submit", "light", "echo", '"hello"', "--discover")
    assert device.process.wait(TIMEOUT) == 0, device.stderr
    assert any(f"at {town.url(name)}" in device.stderr for name in FOG)


def test_medium_tasks_are_shared_among_hosts(town: Town, listener: Listener) -> None:
    report = town.offer("medium", "sleep 0.5", count=9, listener=listener)()
    assert set(report["ran_at"]) == set(FOG)


def test_heavy_tasks_go_to_the_cloud(town: Town, listener: Listener) -> None:
    report = town.offer("heavy", "sleep 0.1", count=4, listener=listener)()
    assert set(report["ran_at"]) == {"cloud"}


def test_a_broker_can_be_far(town: Town, tmp_path: Path) -> None:
    """Each way takes 40 ms, and so a task and its outcome at least 80."""
    with town.network.far(town.hosts["cloud"], PORT, 40, folder=tmp_path) as url:
        report = town.fleet(url, "heavy", "echo", count=5)()
    assert report["p50_ms"] > 80


def test_a_node_that_is_cut_off_is_forgotten_and_taken_back(town: Town, listener: Listener) -> None:
    """What it had is done elsewhere; what it says of it when it is back counts no more."""
    before, started = neighbours_heard(town, "fog-a"), listener.started_at("fog-b")
    wait = town.offer("medium", "sleep 1.5", count=6, listener=listener)
    wait_for(lambda: listener.started_at("fog-b") > started, "a task runs at fog-b")
    town.hosts["fog-b"].unplug()
    report = wait()
    town.hosts["fog-b"].plug()
    assert "neighbour_gone" in town.nodes["fog-a"].stderr
    assert "fog-b" not in report["ran_at"]
    wait_for(lambda: neighbours_heard(town, "fog-a") > before, "fog-b has come back")
    town.wait_idle("fog-b")
    report = town.offer("medium", "sleep 0.5", count=9, listener=listener)()
    assert "fog-b" in report["ran_at"]


def test_heavy_tasks_come_to_the_fog_while_the_cloud_is_cut_off(town: Town, listener: Listener) -> None:
    """The cable is out, and nobody says so: connections stay open, and what is sent is not heard."""
    cloud = town.hosts["cloud"]
    before = clouds_heard(town)
    cloud.unplug()
    report = town.offer("heavy", "sleep 0.2", count=3, listener=listener)()
    assert set(report["ran_at"]) == {"fog-a"}
    cloud.plug()
    wait_for(lambda: clouds_heard(town) > before, "the cloud is heard again")
    report = town.offer("heavy", "sleep 0.1", count=3, listener=listener)()
    assert set(report["ran_at"]) == {"cloud"}


def test_what_a_killed_node_had_is_done_elsewhere_and_answered_once(town: Town, listener: Listener) -> None:
    """Also when it comes back and does, once more, what stands in its journal."""
    started = listener.started_at("fog-c")
    wait = town.offer("medium", "sleep 1.5", count=6, listener=listener)
    wait_for(lambda: listener.started_at("fog-c") > started, "a task runs at fog-c")
    town.nodes["fog-c"].kill()
    report = wait()
    assert "fog-c" not in report["ran_at"]
    before = neighbours_heard(town, "fog-a")
    town.start("fog-c").wait_ready()
    wait_for(lambda: neighbours_heard(town, "fog-a") > before, "fog-c has come back")
    town.wait_idle("fog-c")
    report = town.offer("medium", "sleep 0.5", count=9, listener=listener)()
    assert "fog-c" in report["ran_at"]
