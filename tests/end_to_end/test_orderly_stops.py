"""Nodes that are told to stop, as a service manager does it: what was acknowledged is answered."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from broker.contract.messages import Outcome
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.mosquitto_clients import listening, publish, require
from tests.support.programs import fog_node

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


@pytest.fixture(params=["embedded", "mosquitto", "external"])
def engine(request: pytest.FixtureRequest, mosquitto: Mosquitto) -> tuple[str, int]:
    """An engine and the port of its broker, the same in each life of the node."""
    if request.param == "external":
        return mosquitto.url, mosquitto.port
    return request.param, free_port()


def test_what_is_acknowledged_while_a_node_drains_and_is_away_is_answered(
    engine: tuple[str, int], tmp_path: Path
) -> None:
    name, port = engine
    options = ("--engine", name, "--listen", f"127.0.0.1:{port}")
    taken = ["running"]

    def submit(id: str) -> None:
        if acknowledged(port, f"fog/tasks/light/sum/me/{id}", "[1,2,3]"):
            taken.append(id)

    with fog_node(tmp_path, *options, workers="light=1,medium=1") as node:
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
    with fog_node(tmp_path, *options, workers="light=1,medium=1"):
        answers = outcomes(port, "-C", str(len(taken)), "-W", "30")
    assert sorted(answer.id for answer in answers) == sorted(taken)
    assert all(answer.ok for answer in answers)
    # A broker that is there acknowledges; a node's own is not always there.
    expected = {"embedded": 1, "mosquitto": 31}.get(name, 61)
    assert len(taken) == expected
