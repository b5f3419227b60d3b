"""The tasks of a Celery application, given to a node by --tasks: they run at its own workers."""

from collections.abc import Iterator
from pathlib import Path

import celery
import pytest

from broker.contract.messages import ErrorCode, TaskError
from broker.contract.topics import Weight
from fog_node.infrastructure.redis_server import redis_socket
from fog_tasks.redis_url import celery_url, socket_url
from fog_tasks.running.app import queue_name
from tests.support.command_lines import said_by
from tests.support.mosquitto_clients import request
from tests.support.phone import value
from tests.support.programs import Program, fog_node
from weighbridge import Device

TASKS = "tests/end_to_end/shop_tasks.py"
TIMEOUT = 20.0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with fog_node(tmp_path_factory.mktemp("node"), "--tasks", TASKS, workers="light=1,medium=1") as program:
        yield program


@pytest.mark.parametrize("name", ["price", "shop_tasks.price"])
def test_a_task_is_run_by_its_short_name_or_in_full(node: Program, request_id: str, name: str) -> None:
    outcome = request(node.port, f"fog/tasks/auto/{name}/till/{request_id}", '{"pounds": 3, "pence": 5}')
    assert (value(outcome), outcome.task) == ("£3.05", "shop_tasks.price")


def test_arguments_are_checked_before_a_worker_gets_them(node: Program, request_id: str) -> None:
    outcome = request(node.port, f"fog/tasks/auto/price/till/{request_id}", '["three"]')
    sentence = "shop_tasks.price: parameter 'pounds': expected `int`, got `str`"
    assert outcome.error == TaskError(ErrorCode.BAD_ARGUMENTS, sentence)


async def test_states_are_progress(node: Program) -> None:
    async with Device(node.url, name="till") as till:
        pending = await till.send("auto", "pack", [4], progress=True)
        steps = [one.percent async for one in pending.progress() if one.percent is not None]
        assert await pending.value() == "shop_tasks.pack"
    assert steps == [25, 50, 75, 100]


def test_a_retry_is_a_failure_that_names_the_way_out(node: Program, request_id: str) -> None:
    outcome = request(node.port, f"fog/tasks/auto/charge/till/{request_id}", "[7]")
    assert isinstance(outcome.error, TaskError)
    assert outcome.error.code is ErrorCode.FAILED
    assert outcome.error.message.startswith(
        "it asks Celery for another try because of ConnectionError: no bank for 7;"
    )


def test_its_own_time_limit_ends_a_task(node: Program, request_id: str) -> None:
    outcome = request(node.port, f"fog/tasks/auto/wait/till/{request_id}", "")
    assert outcome.error == TaskError(ErrorCode.TIMED_OUT, "it ran past its time limit")


def test_a_celery_client_calls_it_too(tmp_path: Path) -> None:
    with fog_node(tmp_path, "--tasks", TASKS):
        url = celery_url(socket_url(redis_socket(tmp_path / "fog-a")))
        with celery.Celery("anybody", broker=url, backend=url, set_as_current=False) as client:
            queue = queue_name("fog-a", Weight.LIGHT)
            result = client.send_task("shop_tasks.price", args=[3], kwargs={"pence": 5}, queue=queue)
            assert result.get(timeout=TIMEOUT) == "£3.05"


def test_a_reload_takes_a_changed_task_at_node_and_workers(tmp_path: Path) -> None:
    """Under the name that the earlier version has had in Celery's registries."""
    file = tmp_path / "shop_tasks.py"
    file.write_text(Path(TASKS).read_text())
    with fog_node(tmp_path, "--tasks", str(file)) as node:
        file.write_text(Path(TASKS).read_text().replace("pounds: int, pence", "pounds: str, pence"))
        done = said_by("fog_node", "reload", "--data", str(tmp_path / "fog-a"))
        assert (done.returncode, done.stdout) == (0, "module shop_tasks.py: changed\n"), done.stderr
        assert value(request(node.port, "fog/tasks/auto/price/till/1", '["three"]')) == "£three.00"
