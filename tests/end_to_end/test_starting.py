"""Nodes whose tasks take long to import."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mosquitto_clients import request
from tests.support.phone import value
from tests.support.programs import Program

WAITING = """
import os, time
from pathlib import Path
from weighbridge import task

here = Path(__file__).parent / ("worker" if "FOG_WORKER" in os.environ else "node")
while not here.exists():
    time.sleep(0.01)

@task
def hello() -> str:
    return "hello"
"""


@contextlib.contextmanager
def starting(folder: Path, text: str, *options: str) -> Iterator[Program]:
    """A node that is told to load a file with this text, and has not said yet that it is ready."""
    (folder / "tasks.py").write_text(text)
    command = ("fog_node", "--name", "a", "--listen", "127.0.0.1:0", "--data", str(folder / "a"))
    node = Program((*command, "--workers", "light=1", "--tasks", str(folder / "tasks.py"), *options), folder)
    try:
        yield node
    finally:
        node.close()


def test_an_import_that_takes_long_is_told_and_waited_for(tmp_path: Path) -> None:
    """In the node's own process, and in its workers."""
    place = f"at='{tmp_path}/tasks.py, line 8'"
    with starting(tmp_path, WAITING) as node:
        node.wait_for_log("tasks_loading")
        assert place in node.stderr
        (tmp_path / "node").touch()
        node.wait_for_log("workers_awaited")
        node.wait_for_log("worker light")
        assert node.stderr.count(place) >= 2
        (tmp_path / "worker").touch()
        node.wait_ready()
        assert value(request(node.port, "fog/tasks/light/hello/me/1", "")) == "hello"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_node_that_still_imports_can_be_stopped(tmp_path: Path, number: signal.Signals) -> None:
    with starting(tmp_path, WAITING) as node:
        node.wait_for_log("tasks_loading")
        node.process.send_signal(number)
        assert node.process.wait(30) == 0
        assert "stopped_before_ready" in node.stderr
        assert "Traceback" not in node.stderr


def test_the_wait_for_workers_has_a_bound(tmp_path: Path) -> None:
    (tmp_path / "node").touch()
    with starting(tmp_path, WAITING, "--start-timeout", "1") as node:
        assert node.process.wait(30) == 1
        assert "error: the light workers did not answer within 1 s" in node.stderr


def test_workers_that_end_again_and_again_are_not_waited_for(tmp_path: Path) -> None:
    text = WAITING.replace("while", "if here.name == 'worker':\n    os._exit(3)\nwhile")
    (tmp_path / "node").touch()
    with starting(tmp_path, text) as node:
        assert node.process.wait(60) == 1
        assert "error: the light workers end before they answer" in node.stderr
