"""Workers on machines of their own, sharing the work of one cloud node over its Redis."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from tests.support.mosquitto_clients import listening, publish, request
from tests.support.phone import value
from tests.support.programs import Program, cloud_node
from tests.support.redis import private_redis


@contextlib.contextmanager
def worker_machine(folder: Path, redis_url: str) -> Iterator[Program]:
    """A machine that runs one heavy task at a time for the node named `cloud`."""
    command = ("cloud_node", "worker", "--redis", redis_url, "--workers", "heavy=1")
    machine = Program(command, folder)
    try:
        yield machine
    finally:
        machine.close()


def heavy_slots(node: Program) -> int:
    """How many heavy tasks run at once, as the node's next states tell."""
    with listening(node.port, "fog/nodes/cloud/state", count=1) as states:
        slots: int = msgspec.json.decode(states.wait()[0])["load"]["heavy"]["slots"]
        return slots


def wait_for_slots(node: Program, count: int) -> None:
    for _ in range(30):
        if heavy_slots(node) == count:
            return
        # Past the retained state: the next one comes within a second.
        with listening(node.port, "fog/nodes/cloud/state", count=2) as states:
            states.wait()
    raise AssertionError(f"there are {heavy_slots(node)} heavy slots, not {count}")


def test_machines_join_share_the_work_and_may_die(tmp_path: Path) -> None:
    with private_redis(tmp_path / "redis") as url, cloud_node(tmp_path, "--redis", url) as cloud:
        wait_for_slots(cloud, 1)
        with worker_machine(tmp_path, url) as machine:
            wait_for_slots(cloud, 2)
            with listening(cloud.port, "fog/results/me/#", count=2) as results:
                for number in range(2):
                    publish(cloud.port, f"fog/tasks/heavy/sleep/me/{number}", "4", "-q", "1")
                outcomes = [msgspec.json.decode(line) for line in results.wait()]
            # One after the other, the second would have waited for all that the first had still to run.
            assert all(outcome["ok"] and outcome["waited_ms"] < 3000 for outcome in outcomes)

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


def test_a_machine_whose_terminal_is_closed_ends_with_its_workers(tmp_path: Path) -> None:
    with private_redis(tmp_path / "redis") as url, worker_machine(tmp_path, url) as machine:
        machine.wait_for_log("workers_started")
        family = machine.descendants()
        machine.process.send_signal(signal.SIGHUP)
        assert machine.process.wait(20) == 0
        assert psutil.wait_procs(family, timeout=5)[1] == []
