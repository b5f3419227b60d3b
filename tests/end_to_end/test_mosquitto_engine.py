"""A fog node on a Mosquitto of its own."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from broker.contract.messages import ErrorCode, TaskError
from tests.support.command_lines import assert_refused, said_by
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import publish, request
from tests.support.phone import ask, value
from tests.support.programs import Program, fog_node
from weighbridge import Device


@pytest.fixture(autouse=True)
def program() -> None:
    if shutil.which("mosquitto") is None and not os.environ.get("CI"):
        pytest.skip("mosquitto is not installed (Debian: apt install mosquitto)")


@pytest.fixture(scope="module")
def websocket() -> int:
    return free_port()


@pytest.fixture(scope="module")
def node(websocket: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("node")
    with fog_node(
        folder, "--engine", "mosquitto", "--ws", f"127.0.0.1:{websocket}", workers="light=1,medium=1"
    ) as node:
        yield node


def mosquitto_of(node: Program) -> psutil.Process:
    return next(one for one in node.descendants() if one.name() == "mosquitto")


def test_what_mosquitto_would_not_take_is_no_topic_for_an_outcome(node: Program, request_id: str) -> None:
    """It would close the node's connection, and again whenever the node is back and sends it once more."""
    deep = "/a" * 300
    publish(node.port, "fog/tasks/light/sum", "[1]", "-V", "5", "-D", "publish", "response-topic", f"a{deep}")
    reply = f'{{"$args": [1], "$reply": "fog/results/me{deep}"}}'
    refused = request(node.port, f"fog/tasks/light/sum/me/{request_id}", reply)
    assert isinstance(refused.error, TaskError)
    assert refused.error.code is ErrorCode.BAD_PAYLOAD
    assert value(request(node.port, f"fog/tasks/light/sum/me/{request_id}", "[2]")) == 2


def test_a_web_page_or_phone_app_reaches_it_over_websockets(
    node: Program, websocket: int, request_id: str
) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, transport="websockets")
    outcome = ask(lambda one: one.connect("127.0.0.1", websocket), client, request_id)
    assert value(outcome) == 6


async def test_a_mosquitto_that_is_killed_comes_back_and_every_task_is_answered(node: Program) -> None:
    async with Device(node.url, name="steady") as device:
        pending = [await device.send("light", "sum", [number]) for number in range(50)]
        first = mosquitto_of(node)
        first.kill()
        pending += [await device.send("light", "sum", [number]) for number in range(50, 100)]
        outcomes = [await one.outcome(timeout=40) for one in pending]
        assert [value(outcome) for outcome in outcomes] == list(range(100))
        await eventually(lambda: mosquitto_of(node).pid != first.pid)


def test_it_ends_with_the_node_even_when_that_is_killed(tmp_path: Path) -> None:
    with fog_node(tmp_path, "--engine", "mosquitto") as node:
        mosquitto = mosquitto_of(node)
        os.kill(node.process.pid, signal.SIGKILL)
        mosquitto.wait(30)
    with fog_node(tmp_path, "--engine", "mosquitto") as node:
        assert value(request(node.port, "fog/tasks/light/sum/me/again", "[1]")) == 1
        mosquitto = mosquitto_of(node)
        assert node.terminate() == 0
        assert not mosquitto.is_running()


def test_a_port_that_is_taken_is_told_in_a_sentence(node: Program, tmp_path: Path) -> None:
    done = said_by(
        *("fog_node", "--name", "b", "--engine", "mosquitto"),
        *("--listen", f"127.0.0.1:{node.port}", "--data", str(tmp_path)),
    )
    place = f"127.0.0.1:{node.port}"
    taken = f"cannot listen on {place}: Address already in use; choose another address with --listen"
    assert_refused(done, taken, status=1)
