"""Tasks that kill their worker each time, and what an operator does with them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.contract.messages import ErrorCode, TaskError
from tests.support.command_lines import said_by
from tests.support.mosquitto_clients import listening, request
from tests.support.programs import Program, fog_node

WILD_TASKS = "tests/end_to_end/wild_tasks.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dead")


@pytest.fixture(scope="module")
def node(folder: Path) -> Iterator[Program]:
    with fog_node(folder, "--tasks", WILD_TASKS) as program:
        yield program


def dead(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return said_by("fog_node", "dead", "--data", str(folder / "fog-a"), *options)


def key_of(folder: Path, task_id: str) -> str:
    return next(line.split()[0] for line in dead(folder).stdout.splitlines() if task_id in line)


def test_a_poisonous_task_fails_after_three_tries_and_is_listed(
    node: Program, folder: Path, request_id: str
) -> None:
    outcome = request(node.port, f"fog/tasks/light/dying/me/{request_id}", "")
    assert isinstance(outcome.error, TaskError)
    assert outcome.error.code is ErrorCode.FAILED
    assert "it was tried 3 times" in outcome.error.message
    listed = dead(folder)
    assert listed.returncode == 0
    assert request_id in listed.stdout
    assert "it was tried 3 times" in listed.stdout


def test_a_dead_letter_that_is_submitted_again_is_run_again(
    node: Program, folder: Path, request_id: str
) -> None:
    request(node.port, f"fog/tasks/light/dying/me/{request_id}", "")
    key = key_of(folder, request_id)
    with listening(node.port, f"fog/results/me/{request_id}", count=1) as results:
        again = dead(folder, "--again", key, "--broker", node.url)
        assert again.stdout == f"submitted fog/tasks/light/dying/me/{request_id}\n", again.stderr
        assert b"it was tried 3 times" in results.wait()[0]
    assert key_of(folder, request_id) != key


def test_a_dead_letter_can_be_thrown_away(node: Program, folder: Path, request_id: str) -> None:
    request(node.port, f"fog/tasks/light/dying/me/{request_id}", "")
    assert dead(folder, "--drop", key_of(folder, request_id)).returncode == 0
    assert request_id not in dead(folder).stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--again", "999999"), "there is no dead letter 999999"),
        (("--data", "/nowhere"), "there is no journal at /nowhere/journal.db"),
    ],
)
def test_a_users_mistake_gets_a_sentence(
    node: Program, folder: Path, options: tuple[str, ...], sentence: str
) -> None:
    failed = dead(folder, *options)
    assert failed.returncode == 1
    assert sentence in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_letter_whose_node_is_away_is_kept(node: Program, folder: Path, request_id: str) -> None:
    request(node.port, f"fog/tasks/light/dying/me/{request_id}", "")
    key = key_of(folder, request_id)
    failed = dead(folder, "--again", key, "--broker", "mqtt://127.0.0.1:1")
    assert failed.returncode == 1
    assert "no MQTT broker answered at 127.0.0.1:1" in failed.stderr
    assert key_of(folder, request_id) == key
