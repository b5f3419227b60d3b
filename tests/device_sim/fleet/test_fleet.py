import asyncio

import pytest
import typer

from broker.contract.messages import ErrorCode
from broker.contract.topics import WEIGHTS, Weight
from device_sim.errors import NodeUnreachable
from device_sim.fleet.fleet import Fleet
from device_sim.fleet.settings import FleetSettings
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.scripted_node import ScriptedNode


async def test_every_task_is_sent_answered_and_counted(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    settings = FleetSettings(node=[mosquitto.url], devices=10, seconds=1, light=600, medium=120, heavy=60)
    report = await Fleet(settings).run(asyncio.Event())
    assert report.lost == 0
    assert list(report.weights) == list(WEIGHTS)
    for weight, expected in (("light", 100), ("medium", 20), ("heavy", 10)):
        one = report.weights[weight]
        assert one.sent == one.answered == one.done
        assert one.sent == pytest.approx(expected, abs=10)
        assert one.ran_at == {"scripted": one.sent}
    assert {topic.task for topic, _ in node.heard} == {"light_power", "medium_power", "heavy_power"}
    assert {payload for _, payload in node.heard} == {b""}


async def test_devices_are_spread_over_the_nodes(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    other = f"mqtt://localhost:{mosquitto.port}"
    fleet = Fleet(FleetSettings(node=[mosquitto.url, other], devices=5, seconds=0.3, light=600, prefix="p"))
    report = await fleet.run(asyncio.Event())
    assert report.nodes == (mosquitto.url, other)
    assert {topic.device for topic, _ in node.heard} == {f"p-{number}" for number in range(5)}


async def test_unanswered_tasks_are_lost_after_the_grace_period(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    settings = FleetSettings(
        node=[mosquitto.url], seconds=0.2, grace=0.2, light=600, medium=600, heavy=0, task=["light=silent"]
    )
    report = await Fleet(settings).run(asyncio.Event())
    assert report.lost == report.weights["light"].lost == report.weights["light"].sent > 0
    assert report.weights["medium"].lost == 0


async def test_failures_are_counted_by_code(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    settings = FleetSettings(
        node=[mosquitto.url],
        seconds=0.3,
        light=600,
        medium=600,
        heavy=0,
        task=['light=fail ["overloaded"]', "medium=garbage"],
        deadlines=True,
    )
    report = await Fleet(settings).run(asyncio.Event())
    light, medium = report.weights["light"], report.weights["medium"]
    assert light.failed == {ErrorCode.OVERLOADED: light.sent}
    assert medium.failed == {"unreadable": medium.sent}
    assert report.lost == 0
    assert any(payload == b'{"$args":["overloaded"],"$deadline":0.2}' for _, payload in node.heard)


async def test_response_times_count_from_when_a_task_was_due(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    """The node answers nothing for a while: the tasks due in that time are late by as much."""
    fleet = Fleet(FleetSettings(node=[mosquitto.url], seconds=600, light=1200, medium=0, heavy=0))
    tally, stop = fleet.tallies[Weight.LIGHT], asyncio.Event()
    running = asyncio.create_task(fleet.run(stop))
    await eventually(lambda: tally.done > 3)
    mosquitto.freeze()
    stalled = tally.sent
    await eventually(lambda: tally.sent > stalled + 5)
    mosquitto.thaw()
    await eventually(lambda: tally.done > stalled + 5)
    stop.set()
    light = (await running).weights["light"]
    assert light.lost == 0
    # Of the six that were due while it was silent, 50 ms after each other, the first waited longest.
    assert light.p99_ms is not None
    assert light.p99_ms > 200


async def test_a_stop_reports_what_there_is(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    settings = FleetSettings(
        node=[mosquitto.url], seconds=600, light=1200, medium=600, heavy=0, task=["medium=silent"]
    )
    fleet, stop = Fleet(settings), asyncio.Event()
    running = asyncio.create_task(fleet.run(stop))
    await eventually(lambda: fleet.tallies[Weight.LIGHT].done and fleet.tallies[Weight.MEDIUM].open)
    stop.set()
    report = await running
    assert report.interrupted
    assert report.lost == 0
    assert report.weights["medium"].open == report.weights["medium"].sent
    # This test, the scripted node and what it waits for: nothing of the fleet is left.
    assert len(asyncio.all_tasks()) <= 4


async def test_a_node_that_is_not_there_ends_it_at_once(mosquitto: Mosquitto) -> None:
    settings = FleetSettings(node=[mosquitto.url, f"mqtt://127.0.0.1:{free_port()}"], devices=4)
    with pytest.raises(NodeUnreachable):
        await Fleet(settings).run(asyncio.Event())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"task": ["light"]}, "light=echo"),
        ({"task": ["tiny=echo"]}, "WEIGHT=TASK"),
        ({"task": ["light=a/b"]}, "WEIGHT=TASK"),
        ({"task": ["light=sum [1"]}, "not JSON"),
        ({"light": 0, "medium": 0, "heavy": 0}, "nothing to send"),
        ({"prefix": "a/b"}, "--prefix"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        FleetSettings(**wrong)  # type: ignore[arg-type]
