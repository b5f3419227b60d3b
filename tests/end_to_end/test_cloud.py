"""A fog node with a cloud: heavy tasks go up and come back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.contract.messages import Outcome, Progress
from tests.support.eventually import eventually
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.phone import value
from tests.support.programs import Program, cloud_node, fog_node
from weighbridge import Device

TIMEOUT = 30.0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with cloud_node(tmp_path_factory.mktemp("cloud")) as node:
        yield node


@pytest.fixture(scope="module")
def fog(cloud: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with fog_node(tmp_path_factory.mktemp("fog"), "--cloud", cloud.url, workers="light=1,medium=1") as node:
        node.wait_for_log("change=joined")
        yield node


def test_a_heavy_task_is_run_by_the_cloud_and_answered_at_the_fog_node(fog: Program, request_id: str) -> None:
    outcome = request(fog.port, f"fog/tasks/heavy/sum/me/{request_id}", "[1,2,3]")
    assert value(outcome) == 6
    assert (outcome.node, outcome.route) == ("cloud", ("cloud", "fog-a"))


def test_light_and_medium_tasks_stay(fog: Program, request_id: str) -> None:
    for weight in ("light", "medium"):
        outcome = request(fog.port, f"fog/tasks/{weight}/sum/me/{request_id}-{weight}", "[1]")
        assert outcome.route == ("fog-a",)


def test_raw_payloads_and_failures_come_back_too(fog: Program, request_id: str) -> None:
    outcome = request(fog.port, f"fog/tasks/heavy/heavy_power/me/{request_id}", '{"n": -1}')
    assert not isinstance(outcome.error, msgspec.UnsetType)
    assert outcome.error.code == "bad-arguments"


def test_progress_in_the_cloud_is_heard_at_the_fog_node(fog: Program, request_id: str) -> None:
    with listening(fog.port, f"fog/progress/me/{request_id}", count=4) as progress:
        publish(fog.port, f"fog/tasks/heavy/sleep/me/{request_id}", "1.5", "-q", "1")
        steps = [msgspec.json.decode(line, type=Progress) for line in progress.wait()]
    assert [step.stage for step in steps] == ["accepted", "placed", "running", "running"]
    assert [step.node for step in steps] == ["fog-a", "cloud", "cloud", "cloud"]


def test_cancel_follows_the_task_to_the_cloud(fog: Program, cloud: Program, request_id: str) -> None:
    with (
        listening(fog.port, f"fog/results/me/{request_id}", count=1) as results,
        listening(fog.port, f"fog/progress/me/{request_id}", count=3) as progress,
    ):
        publish(fog.port, f"fog/tasks/heavy/sleep/me/{request_id}", "60", "-q", "1")
        progress.wait()
        publish(fog.port, f"fog/cancel/me/{request_id}", "", "-q", "1")
        assert msgspec.json.decode(results.wait()[0])["error"]["code"] == "cancelled"
    # The cloud's one heavy worker is free again.
    assert request(fog.port, f"fog/tasks/heavy/sum/me/{request_id}-after", "[1]").ok


def test_the_cloud_hears_the_state_of_its_fog_nodes(fog: Program, cloud: Program) -> None:
    with listening(cloud.port, "fog/nodes/fog-a/state", count=1) as states:
        assert msgspec.json.decode(states.wait()[0])["online"] is True


def test_tasks_wait_for_a_cloud_that_is_away(tmp_path: Path) -> None:
    """What was sent while it was away arrives when it returns; what had a deadline is answered at that."""
    with cloud_node(tmp_path) as first:
        address = f"127.0.0.1:{first.port}"
        with fog_node(tmp_path, "--cloud", first.url) as fog:
            first.kill()
            with listening(fog.port, "fog/results/me/#", count=2) as results:
                publish(fog.port, "fog/tasks/heavy/sum/me/patient", "[5]", "-q", "1")
                publish(
                    fog.port, "fog/tasks/heavy/sum/me/hasty", '{"$args": [6], "$deadline": 0.5}', "-q", "1"
                )
                with cloud_node(tmp_path, "--listen", address):
                    outcomes = {
                        outcome.id: outcome
                        for outcome in (msgspec.json.decode(line, type=Outcome) for line in results.wait())
                    }
    assert value(outcomes["patient"]) == 5
    assert not isinstance(outcomes["hasty"].error, msgspec.UnsetType)
    assert outcomes["hasty"].error.code == "expired"


def test_heavy_tasks_come_back_to_the_fog_while_the_cloud_is_away(tmp_path: Path) -> None:
    with (
        cloud_node(tmp_path) as cloud,
        fog_node(tmp_path, "--cloud", cloud.url, workers="heavy=1") as fog,
    ):
        asyncio.run(eventually(lambda: "broker_reached" in fog.stderr))
        assert request(fog.port, "fog/tasks/heavy/sum/me/up", "[1]").node == "cloud"
        cloud.kill()
        asyncio.run(eventually(lambda: "broker_away" in fog.stderr))
        assert request(fog.port, "fog/tasks/heavy/sum/me/back", "[1]").node == "fog-a"


def test_heavy_tasks_with_a_deadline_come_back_to_the_fog_while_the_cloud_is_too_slow(tmp_path: Path) -> None:
    """The cloud is busy with what others send it, and says so."""

    async def submit(cloud: Program, fog: Program) -> None:
        deadline = {"seconds": 0.2, "$deadline": 3.0}
        async with Device(cloud.url, name="other") as other, Device(fog.url, name="me") as device:
            # What is not known is guessed to take 5 s.
            await (await other.send("heavy", "sleep", 0.5)).outcome(timeout=TIMEOUT)
            assert (await (await device.send("heavy", "sleep", 0.2)).outcome(timeout=TIMEOUT)).node == "cloud"
            idle = await (await device.send("heavy", "sleep", deadline)).outcome(timeout=TIMEOUT)
            for _ in range(30):
                await other.send("heavy", "sleep", 0.5)
            with listening(cloud.port, "fog/nodes/cloud/state", count=3) as states:
                # The first one is retained, from before.
                await asyncio.to_thread(states.wait)
            busy = await (await device.send("heavy", "sleep", deadline)).outcome(timeout=TIMEOUT)
            assert (idle.node, busy.node) == ("cloud", "fog-a"), (idle, busy)

    with (
        cloud_node(tmp_path) as cloud,
        fog_node(tmp_path, "--cloud", cloud.url, workers="heavy=1") as fog,
    ):
        asyncio.run(eventually(lambda: "joined" in fog.stderr, TIMEOUT))
        asyncio.run(submit(cloud, fog))


def test_a_killed_cloud_finishes_what_it_had(tmp_path: Path) -> None:
    with cloud_node(tmp_path) as first:
        address = f"127.0.0.1:{first.port}"
        with (
            fog_node(tmp_path, "--cloud", first.url) as fog,
            listening(fog.port, "fog/results/me/1", count=1) as results,
            listening(fog.port, "fog/progress/me/1", count=3) as progress,
        ):
            publish(fog.port, "fog/tasks/heavy/sleep/me/1", "1.5", "-q", "1")
            progress.wait()
            first.kill()
            with cloud_node(tmp_path, "--listen", address):
                assert msgspec.json.decode(results.wait()[0])["ok"] is True
