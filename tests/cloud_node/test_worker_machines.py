"""Workers on machines of their own, sharing the work of one cloud node over its Redis."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from broker.contract.messages import ErrorCode, Stage, TaskError
from broker.contract.topics import Weight
from fog_tasks.worker_names import worker_name
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.node_states import wait_for_state
from tests.support.phone import value
from tests.support.programs import Program, cloud_node, running
from tests.support.redis import private_redis
from weighbridge import Device


@contextlib.contextmanager
def worker_machine(folder: Path, redis_url: str) -> Iterator[Program]:
    """A machine that runs one heavy task at a time for the node named `cloud`."""
    command = ("cloud_node", "worker", "--redis", redis_url, "--workers", "heavy=1")
    machine = Program(command, folder)
    try:
        yield machine
    finally:
        machine.close()


@contextlib.contextmanager
def cloud_without_workers(folder: Path, redis_url: str) -> Iterator[Program]:
    """A cloud node that leaves all work to machines."""
    with running(
        *("cloud_node", "--listen", "127.0.0.1:0", "--data", str(folder / "cloud")),
        *("--workers", "heavy=0", "--redis", redis_url),
        folder=folder,
    ) as cloud:
        yield cloud


def wait_for_slots(node: Program, count: int) -> None:
    wait_for_state(node, lambda found: Weight.HEAVY in found.load and found.load[Weight.HEAVY].slots == count)


async def run_at_once(node: Program) -> None:
    """Two tasks, both of which run before one of them has ended."""
    async with Device(node.url, name="both") as device:
        both = [await device.send("heavy", "sleep", 6.0, progress=True) for _ in range(2)]
        ends = [asyncio.create_task(one.outcome(timeout=60)) for one in both]
        for one in both:
            async for step in one.progress():
                if step.stage is Stage.RUNNING:
                    break
        assert not any(end.done() for end in ends)
        assert all([(await end).ok for end in ends])


def test_machines_join_share_the_work_and_may_die(tmp_path: Path) -> None:
    with private_redis(tmp_path / "redis") as url, cloud_node(tmp_path, "--redis", url) as cloud:
        wait_for_slots(cloud, 1)
        with worker_machine(tmp_path, url) as machine:
            wait_for_slots(cloud, 2)
            asyncio.run(run_at_once(cloud))

            with listening(cloud.port, "fog/results/me/#", count=2) as results:
                with listening(cloud.port, "fog/progress/me/#", count=4) as progress:
                    for number in range(2, 4):
                        publish(cloud.port, f"fog/tasks/heavy/sleep/me/{number}", "2", "-q", "1")
                    progress.wait()
                family = machine.descendants()
                machine.kill()
                psutil.wait_procs(family, timeout=5)
                outcomes = [msgspec.json.decode(line) for line in results.wait()]
            assert all(outcome["ok"] for outcome in outcomes)
        wait_for_slots(cloud, 1)
        assert value(request(cloud.port, "fog/tasks/heavy/sum/me/after", "[1]")) == 1


def test_two_clouds_of_one_name_on_one_redis_say_so_and_both_work(tmp_path: Path) -> None:
    """The workers of both run the tasks of both; each hears of its own."""
    with private_redis(tmp_path / "redis") as url, contextlib.ExitStack() as stack:
        clouds = []
        for name in "ab":
            folder = tmp_path / name
            folder.mkdir()
            clouds.append(stack.enter_context(cloud_node(folder, "--redis", url)))
        for cloud in clouds:
            wait_for_state(cloud, lambda found: any("the Redis" in one for one in found.trouble))
        with (
            listening(clouds[0].port, "fog/results/me/+", count=20) as first,
            listening(clouds[1].port, "fog/results/me/+", count=20) as second,
        ):
            for number in range(20):
                for cloud in clouds:
                    publish(cloud.port, f"fog/tasks/heavy/sum/me/{number}", f"[{number}]", "-q", "1")
            for results in (first, second):
                answers = [msgspec.json.decode(line) for line in results.wait()]
                assert {int(one["id"]): one["value"] for one in answers} == {n: n for n in range(20)}
        clouds[0].kill()
        wait_for_state(clouds[1], lambda found: not found.trouble)


def test_a_machine_whose_terminal_is_closed_ends_with_its_workers(tmp_path: Path) -> None:
    with private_redis(tmp_path / "redis") as url, worker_machine(tmp_path, url) as machine:
        machine.wait_for_log("workers_started")
        family = machine.descendants()
        machine.process.send_signal(signal.SIGHUP)
        assert machine.process.wait(20) == 0
        assert psutil.wait_procs(family, timeout=5)[1] == []


def test_a_cloud_without_workers_has_those_of_its_machines(tmp_path: Path) -> None:
    """What it accepted while a machine was there is run by one that comes later, across a restart too."""
    with private_redis(tmp_path / "redis") as url:
        with cloud_without_workers(tmp_path, url) as cloud:
            refused = request(cloud.port, "fog/tasks/heavy/sum/me/none", "[1]")
            assert isinstance(refused.error, TaskError)
            assert refused.error.code is ErrorCode.UNROUTABLE
            with worker_machine(tmp_path, url) as machine:
                wait_for_slots(cloud, 1)
                assert value(request(cloud.port, "fog/tasks/heavy/sum/me/1", "[1]")) == 1
                with listening(cloud.port, "fog/progress/me/+", count=2) as progress:
                    publish(cloud.port, "fog/tasks/heavy/sleep/me/2", "0.5", "-q", "1")
                    progress.wait()
                cloud.kill()
                machine.kill()
        # The machine takes longer to start than the cloud node, however long that is.
        with (
            cloud_without_workers(tmp_path, url) as cloud,
            listening(cloud.port, "fog/results/me/2", count=1) as results,
            worker_machine(tmp_path, url),
        ):
            assert msgspec.json.decode(results.wait()[0])["value"] == 0.5


def test_workers_of_machines_that_are_alike_have_names_of_their_own() -> None:
    """As in containers of one image: the same host name, and the same number of the process."""
    assert worker_name("heavy") != worker_name("heavy")
