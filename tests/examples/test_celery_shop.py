"""What examples/celery_shop/README.md shows is run as it stands there, with a RabbitMQ of the test's own."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.contract.messages import ErrorCode, Outcome, TaskError
from tests.support.mosquitto_clients import listening
from tests.support.pages import in_a_shell, options, shown
from tests.support.programs import REPOSITORY, Program, running
from tests.support.rabbitmq import RabbitMQ

PAGE = "examples/celery_shop/README.md"
SHOP = REPOSITORY / "examples/celery_shop"
ASKED = shown(PAGE, "mosquitto_rr")
PUBLISHED = [command for command, _ in shown(PAGE, "mosquitto_pub")]
TIMINGS = re.compile(r'("(?:waited|ran|total)_ms":)[\d.]+|,"(?:why|predicted_ms)":("[^"]*"|[\d.]+)')


def masked(outcome: str) -> str:
    """An outcome without what differs from run to run."""
    return TIMINGS.sub(r"\g<1>", outcome)


@contextlib.contextmanager
def worker(folder: Path, rabbitmq: RabbitMQ) -> Iterator[None]:
    """The shop's worker as the page starts it."""
    ((command, _),) = shown(PAGE, "celery")
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command.split()],
            cwd=SHOP,
            env={**os.environ, "SHOP_BROKER": rabbitmq.url},
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("node")
    flags = options(PAGE, "fog-node", "--name", "--config")
    with (
        worker(folder, rabbitmq),
        running(
            *("fog_node", *flags, "--listen", "127.0.0.1:0", "--data", str(folder / "data")),
            *("--workers", "light=1"),
            folder=folder,
            environment={"SHOP_BROKER": rabbitmq.url},
            cwd=SHOP,
        ) as program,
    ):
        yield program


def test_the_page_has_examples() -> None:
    assert (len(ASKED), len(PUBLISHED)) == (4, 3)


@pytest.mark.parametrize(("command", "printed"), ASKED)
def test_a_request_prints_what_the_page_says(
    node: Program, tmp_path: Path, command: str, printed: list[str]
) -> None:
    said = in_a_shell(command, node.port, tmp_path)
    assert [masked(line) for line in said.splitlines()] == [masked(line) for line in printed]


def test_the_steps_of_a_task_print_what_the_page_says(node: Program, tmp_path: Path) -> None:
    ((_, printed),) = shown(PAGE, "mosquitto_sub")
    with listening(node.port, "fog/progress/table/1", count=len(printed)) as steps:
        in_a_shell(PUBLISHED[0], node.port, tmp_path)
        assert [line.decode() for line in steps.wait()] == printed


def test_a_cancelled_task_is_ended_and_its_worker_free(node: Program, tmp_path: Path) -> None:
    """The two that are cancelled would keep both processes for half an hour."""
    begin, cancel = PUBLISHED[1].replace("100", "6000"), PUBLISHED[2]
    for name in ("2", "3"):
        with listening(node.port, f"fog/progress/table/{name}", count=3) as steps:
            in_a_shell(begin.replace("table/2", f"table/{name}"), node.port, tmp_path)
            steps.wait()
    for name in ("2", "3"):
        with listening(node.port, f"fog/results/table/{name}", count=1) as results:
            in_a_shell(cancel.replace("table/2", f"table/{name}"), node.port, tmp_path)
            outcome = msgspec.json.decode(results.wait()[0], type=Outcome)
        assert outcome.error == TaskError(ErrorCode.CANCELLED, "it was cancelled")
    with listening(node.port, "fog/results/table/4", count=1) as results:
        in_a_shell(PUBLISHED[0].replace("table/1", "table/4"), node.port, tmp_path)
        assert msgspec.json.decode(results.wait()[0], type=Outcome).ok
