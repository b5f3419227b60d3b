"""Nodes that stop, die, and come back."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

import msgspec
import psutil

from broker.contract.messages import Outcome
from tests.support.eventually import eventually
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.phone import value
from tests.support.programs import Program, fog_node

# Long before the task that runs would end.
DRAINED_SOON = 40.0


def started(node: Program, name: str, seconds: float) -> None:
    """Submit a medium sleep and return once it runs."""
    with listening(node.port, f"fog/progress/me/{name}", count=2) as progress:
        publish(node.port, f"fog/tasks/medium/sleep/me/{name}", str(seconds), "-q", "1")
        progress.wait()


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_gone(processes: list[psutil.Process]) -> None:
    """Wait until none of them is left: the kernel ends what a killed program had started."""
    asyncio.run(eventually(lambda: all(map(is_gone, processes))))


def test_sigterm_lets_running_tasks_finish_and_journals_the_rest(tmp_path: Path) -> None:
    with fog_node(tmp_path, workers="medium=1") as node:
        started(node, "running", 1.0)
        for number in range(3):
            publish(node.port, f"fog/tasks/medium/sleep/me/waiting-{number}", "0.01", "-q", "1")
        family = node.descendants()
        with listening(node.port, "fog/results/me/running", count=1) as results:
            assert node.terminate() == 0
            assert msgspec.json.decode(results.wait()[0])["ok"] is True
        wait_gone(family)
        assert "stopped" in node.stderr
    with (
        fog_node(tmp_path, workers="medium=1") as node,
        listening(node.port, "fog/results/me/waiting-2", count=1) as results,
    ):
        # It may have been answered before we listened: then asking again brings the same outcome.
        publish(node.port, "fog/tasks/medium/sleep/me/waiting-2", "0.01", "-q", "1")
        assert msgspec.json.decode(results.wait()[0])["ok"] is True


def test_a_second_signal_ends_the_drain(tmp_path: Path) -> None:
    with fog_node(tmp_path, "--drain", "60", workers="medium=1") as node:
        started(node, "long", 50)
        family = node.descendants()
        node.process.terminate()
        node.wait_for_log("draining")
        node.process.send_signal(signal.SIGINT)
        assert node.process.wait(DRAINED_SOON) == 0
        wait_gone(family)


def test_the_drain_ends_after_its_time(tmp_path: Path) -> None:
    with fog_node(tmp_path, "--drain", "0.3", workers="medium=1") as node:
        started(node, "long", 50)
        family = node.descendants()
        assert node.terminate(DRAINED_SOON) == 0
        wait_gone(family)
        assert "journaled=1" in node.stderr


def test_kill_9_leaves_no_process_and_loses_no_task(tmp_path: Path) -> None:
    with fog_node(tmp_path, workers="medium=1") as node:
        started(node, "one", 1.0)
        publish(node.port, "fog/tasks/medium/sleep/me/two", "0.01", "-q", "1")
        family = node.descendants()
        # Redis, a worker and its child.
        assert len(family) >= 3
        node.kill()
        wait_gone(family)
    with fog_node(tmp_path, workers="medium=1") as node:
        for name, seconds in (("one", "1.0"), ("two", "0.01")):
            answer = request(node.port, f"fog/tasks/medium/sleep/me/{name}", seconds)
            assert answer.ok


def test_what_is_sent_again_to_the_next_life_is_known_there_and_another_task_is_new(tmp_path: Path) -> None:
    """A client that missed the PUBACK sends its message again, to whoever is there."""
    topic, deadline = "fog/tasks/light/sum/me/1", '{"$args": [1, 2], "$deadline": %s}'
    with fog_node(tmp_path, workers="light=1") as node:
        first = request(node.port, topic, deadline % 9)
        node.kill()
    with fog_node(tmp_path, workers="light=1") as node:
        assert request(node.port, topic, deadline % 5) == msgspec.structs.replace(first, repeated=True)
        other = request(node.port, topic, "[1, 3]")
        assert (value(other), other.repeated) == (4, False)


def test_leftovers_of_an_earlier_life_are_ended(tmp_path: Path) -> None:
    """Where the system does not end them with the node, the next start does."""
    pid_file = tmp_path / "fog-a" / "processes.json"
    with fog_node(tmp_path, workers="medium=1") as node:
        listed = msgspec.json.decode(pid_file.read_bytes())
        pids = {one["pid"] for one in listed["programs"]}
        # Redis, and the worker.
        assert len(pids) == 2
        assert {one.pid for one in node.descendants()} >= pids
    leftover = psutil.Popen(["sleep", "300"])
    listed["programs"] = [{"pid": leftover.pid, "born": leftover.create_time()}]
    pid_file.write_bytes(msgspec.json.encode(listed))
    with fog_node(tmp_path, workers="medium=1"):
        leftover.wait(30)


def test_a_node_on_a_copy_of_a_live_data_folder_leaves_the_original_alone(tmp_path: Path) -> None:
    with fog_node(tmp_path, workers="medium=1") as original:
        family = original.descendants()
        shutil.copytree(tmp_path / "fog-a", tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
        with fog_node(tmp_path, name="fog-b", data="copy", workers="medium=1") as copy:
            assert "data_folder_copied" in copy.stderr
            assert f"copied_from={tmp_path / 'fog-a'}" in copy.stderr
            assert all(one.is_running() for one in family)
            assert value(request(copy.port, "fog/tasks/medium/echo/me/1", "1")) == 1
        assert value(request(original.port, "fog/tasks/medium/echo/me/1", "1")) == 1
        assert "program_ended" not in original.stderr


def test_workers_and_redis_that_die_come_back(tmp_path: Path) -> None:
    with fog_node(tmp_path, workers="light=1,medium=1") as node:
        started(node, "first", 1.0)
        with listening(node.port, "fog/results/me/#", count=2) as results:
            publish(node.port, "fog/tasks/medium/sleep/me/second", "0.05", "-q", "1")
            for process in psutil.Process(node.process.pid).children():
                os.kill(process.pid, signal.SIGKILL)
            outcomes = [msgspec.json.decode(line, type=Outcome) for line in results.wait()]
        assert [outcome.ok for outcome in outcomes] == [True, True]
        assert value(request(node.port, "fog/tasks/light/sum/me/after", "[1]")) == 1


def test_two_nodes_do_not_share_a_data_folder(tmp_path: Path) -> None:
    with fog_node(tmp_path):
        second = Program(
            ("fog_node", "--name", "b", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "fog-a")),
            tmp_path,
        )
        try:
            assert second.process.wait(60) == 1
            assert "another node uses the data folder" in second.stderr
        finally:
            second.close()
