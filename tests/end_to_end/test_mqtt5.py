"""What a device has of MQTT 5: the answer to a request, and what comes back with it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.mosquitto_clients import publish, request, require
from tests.support.phone import value
from tests.support.programs import Program, fog_node


@pytest.fixture(scope="module", params=["mosquitto", "external"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A node whose broker speaks MQTT 5."""
    engine = request.param
    if engine == "external":
        engine = request.getfixturevalue("mosquitto").url
    with fog_node(tmp_path_factory.mktemp("node"), "--engine", engine, workers="light=1") as program:
        yield program


@pytest.mark.parametrize(("payload", "says"), [("[1,2,3]", '"value":6'), ("[", '"code":"bad-payload"')])
def test_mosquitto_rr_prints_the_outcome_without_any_flag(node: Program, payload: str, says: str) -> None:
    require("mosquitto_rr")
    words = f"mosquitto_rr -p {node.port} -t fog/tasks/light/sum -e reply/me -W 20 -m"
    done = subprocess.run([*words.split(), payload], capture_output=True, text=True, timeout=30, check=True)
    assert says in done.stdout


def test_an_outcome_that_the_broker_refuses_holds_up_no_other(tmp_path: Path, request_id: str) -> None:
    """Where the node itself may not publish on a response topic, nobody waits for that."""
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite fog/#\n", "utf-8")
    # Started as root it would take the rights of a user who may not read the rules.
    with (
        Mosquitto(tmp_path, "user root", f"acl_file {rules}") as mosquitto,
        fog_node(tmp_path, "--engine", mosquitto.url, workers="light=1") as node,
    ):
        answered = ("-V", "5", "-D", "publish", "response-topic", "closed/door")
        publish(node.port, "fog/tasks/light/sum", "[1]", *answered)
        assert value(request(node.port, f"fog/tasks/light/sum/me/{request_id}", "[2]")) == 2
        node.wait_for_log("reply_refused")
        assert node.terminate() == 0
