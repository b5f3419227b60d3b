"""Nodes that are told to stop, as a service manager does it: what was acknowledged is answered."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from broker.contract.messages import Outcome
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.mosquitto_clients import listening, publish, request, require
from tests.support.phone import value
from tests.support.programs import Program, fog_node, running

CHAOS_TASKS = "tests/chaos/chaos_tasks.py"
STARTING_TASKS = "tests/end_to_end/starting_tasks.py"

SESSION = ("-c", "-i", "ear", "-q", "1")
"""A listener's lasting session: what the node answers while it is away waits for it."""


def acknowledged(port: int, topic: str, payload: str) -> bool:
    """Publish with QoS 1; tell whether the broker has acknowledged it."""
    try:
        publish(port, topic, payload, "-q", "1")
    except subprocess.CalledProcessError:
        return False
    return True


def outcomes(port: int, *options: str) -> list[Outcome]:
    """Listen with the lasting session, with further options of mosquitto_sub."""
    require("mosquitto_sub")
    command = ["mosquitto_sub", "-p", str(port), "-t", "fog/results/me/+", *SESSION, *options]
    said = subprocess.run(command, check=True, timeout=60, capture_output=True).stdout
    return [msgspec.json.decode(line, type=Outcome) for line in said.splitlines()]


def start_noted(node: Program, name: str, runs: Path, *, seconds: float) -> None:
    """Submit a task that writes each of its runs down; return once it runs."""
    with listening(node.port, f"fog/progress/me/{name}", count=2) as progress:
        arguments = json.dumps({"name": name, "ledger": str(runs), "seconds": seconds})
        publish(node.port, f"fog/tasks/medium/noted/me/{name}", arguments, "-q", "1")
        progress.wait()


BROKERS = (
    *("embedded", "mosquitto", "external", "fog-broker", "amqtt"),
    *("mosquitto of a cloud", "external of a cloud"),
)


@pytest.fixture(params=BROKERS)
def place(
    request: pytest.FixtureRequest, mosquitto: Mosquitto, tmp_path: Path
) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """A kind of broker, the command of a node at it, and its port, the same in each life of the node."""
    kind, port = request.param, free_port()
    with contextlib.ExitStack() as stack:
        engine = kind.split()[0]
        if engine == "external":
            engine, port = mosquitto.url, mosquitto.port
        if kind == "fog-broker":
            broker = stack.enter_context(running("broker", "--listen", "127.0.0.1:0", folder=tmp_path))
            engine, port = broker.url, broker.port
        package = "cloud_node" if kind.endswith("cloud") else "fog_node"
        yield kind, (package, "--engine", engine, "--listen", f"127.0.0.1:{port}"), port


def test_what_is_acknowledged_while_a_node_drains_and_is_away_is_answered(
    place: tuple[str, tuple[str, ...], int], tmp_path: Path
) -> None:
    kind, command, port = place
    command += ("--data", str(tmp_path / "data"), "--workers", "light=1,medium=1")
    taken = ["running"]

    def submit(id: str) -> None:
        if acknowledged(port, f"fog/tasks/light/sum/me/{id}", "[1,2,3]"):
            taken.append(id)

    with running(*command, folder=tmp_path) as node:
        assert outcomes(port, "-E") == []
        with listening(port, "fog/progress/me/running", count=2) as progress:
            publish(port, "fog/tasks/medium/sleep/me/running", "1.5", "-q", "1")
            progress.wait()
        node.process.terminate()
        node.wait_for_log("draining")
        for number in range(30):
            submit(f"draining-{number}")
        assert node.process.wait(30) == 0
        for number in range(30):
            submit(f"away-{number}")
    with running(*command, folder=tmp_path):
        if kind == "amqtt":
            # It keeps nothing for who is away: a device asks again for what it has missed.
            answers = [request(port, "fog/tasks/medium/sleep/me/running", "1.5")]
            assert answers[0].repeated is True
        else:
            answers = outcomes(port, "-C", str(len(taken)), "-W", "30")
    assert sorted(answer.id for answer in answers) == sorted(taken)
    assert all(answer.ok for answer in answers)
    # A broker that is there acknowledges; a node's own is not always there.
    expected = {"embedded": 1, "amqtt": 1, "mosquitto": 31, "external": 61, "fog-broker": 61}[kind.split()[0]]
    assert len(taken) == expected


def test_outcomes_that_the_broker_could_not_take_leave_in_the_next_life(tmp_path: Path) -> None:
    """The broker was away when the task ended, and when the node was told to stop."""
    broker = Mosquitto(tmp_path)
    broker.start()
    options = ("--engine", broker.url, "--listen", f"127.0.0.1:{free_port()}")
    try:
        with fog_node(tmp_path, *options, workers="medium=1") as node:
            with listening(broker.port, "fog/progress/me/1", count=2) as progress:
                publish(broker.port, "fog/tasks/medium/sleep/me/1", "1", "-q", "1")
                progress.wait()
            broker.stop()
            node.wait_for_log("broker_away")
            assert node.terminate() == 0
            assert "finished=1" in node.stderr
        broker.start()
        with (
            listening(broker.port, "fog/results/me/1", count=1) as results,
            fog_node(tmp_path, *options, workers="medium=1") as node,
        ):
            assert msgspec.json.decode(results.wait()[0])["ok"] is True
            assert node.terminate() == 0
        # Once: an end that was in order leaves nothing to be sent again.
        with fog_node(tmp_path, *options, workers="medium=1") as node:
            assert "outcomes_sent_again" not in node.stderr
    finally:
        broker.stop()


@pytest.mark.parametrize("engine_name", ["embedded", "mosquitto", "amqtt"])
def test_a_signal_to_every_process_of_a_node_is_one_to_the_node(engine_name: str, tmp_path: Path) -> None:
    """As a service manager stops it: the task that runs ends well, before the node does, and once."""
    runs = tmp_path / "runs"
    options = ("--engine", engine_name, "--tasks", CHAOS_TASKS)
    with fog_node(tmp_path, *options, workers="light=1,medium=2") as node:
        assert outcomes(node.port, "-E") == []
        for name in ("one", "two"):
            start_noted(node, name, runs, seconds=2.0)
        family = node.descendants()
        with listening(node.port, "fog/results/me/+", count=2) as results:
            for process in [*family, psutil.Process(node.process.pid)]:
                process.terminate()
            answers = [msgspec.json.decode(line, type=Outcome) for line in results.wait()]
        assert node.process.wait(30) == 0
        assert "finished=2" in node.stderr
        assert "program_ended" not in node.stderr
    assert [answer.ok for answer in answers] == [True, True]
    assert len(runs.read_text().splitlines()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_process_that_alone_is_told_to_end_has_died_and_its_task_runs_again(
    number: signal.Signals, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    with fog_node(tmp_path, "--tasks", CHAOS_TASKS, workers="medium=1") as node:
        start_noted(node, "me", runs, seconds=2.0)
        worker = next(one for one in psutil.Process(node.process.pid).children() if one.children())
        child = worker.children()[0]
        with listening(node.port, "fog/results/me/+", count=1) as results:
            child.send_signal(number)
            (answer,) = [msgspec.json.decode(line, type=Outcome) for line in results.wait()]
        assert answer.ok
        assert len(runs.read_text().splitlines()) == 2
        assert not child.is_running()
        assert worker.is_running()


def test_a_task_fails_not_because_its_program_was_told_to_end_with_all_others(tmp_path: Path) -> None:
    runs, port = tmp_path / "runs", free_port()
    options = ("--tasks", STARTING_TASKS, "--listen", f"127.0.0.1:{port}")
    with fog_node(tmp_path, *options, workers="medium=1") as node:
        assert outcomes(port, "-E") == []
        with listening(port, "fog/progress/me/1", count=2) as progress:
            publish(port, "fog/tasks/medium/leaning/me/1", json.dumps(str(runs)), "-q", "1")
            progress.wait()
        for process in [psutil.Process(node.process.pid), *node.descendants()]:
            process.terminate()
        assert node.process.wait(30) == 0
    with fog_node(tmp_path, *options, workers="medium=1"):
        (answer,) = outcomes(port, "-C", "1", "-W", "30")
    assert value(answer) == "done"
    assert len(runs.read_text().splitlines()) == 2


def test_what_a_task_starts_ends_at_the_signals_as_ever(tmp_path: Path) -> None:
    """A program, and a fork: both by SIGTERM, as `terminate()` of either module sends it."""
    with fog_node(tmp_path, "--tasks", STARTING_TASKS, workers="light=1") as node:
        outcome = request(node.port, "fog/tasks/light/terminated/me/1", "")
        assert value(outcome) == [-signal.SIGTERM, -signal.SIGTERM]
