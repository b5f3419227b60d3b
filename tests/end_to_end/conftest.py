"""Real nodes, shared by the tests that leave them as they were."""

from collections.abc import Iterator

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.programs import EVERY_WEIGHT, Program, fog_node

WILD_TASKS = "tests/end_to_end/wild_tasks.py"


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One for all tests of a module."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture(scope="module", params=["embedded", "external", "mosquitto", "amqtt"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A fog node with the tasks of wild_tasks.py, on each engine; `external` is a Mosquitto elsewhere."""
    folder = tmp_path_factory.mktemp("node")
    options = ["--tasks", WILD_TASKS, "--max-payload", "100000", "--drain", "2", "--task-memory", "3000"]
    if request.param == "external":
        mosquitto: Mosquitto = request.getfixturevalue("mosquitto")
        options += ["--engine", mosquitto.url]
    if request.param in ("mosquitto", "amqtt"):
        options += ["--engine", request.param]
    with fog_node(folder, *options, workers=EVERY_WEIGHT) as program:
        yield program
