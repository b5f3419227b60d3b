"""What is on standard error: with `--log-format json` nothing else, by default what a person reads."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.mosquitto_clients import request
from tests.support.phone import value
from tests.support.programs import REPOSITORY, Program, cloud_node, fog_node, running

JSON = ("--log-format", "json")


def read(log: str) -> list[dict[str, Any]]:
    """The lines of a log. Fails where one is empty, or is no line of ours."""
    lines = [json.loads(line) for line in log.splitlines()]
    assert all({"event", "level", "timestamp", "program"} <= line.keys() for line in lines)
    return lines


def named(program: Program, words: str) -> list[psutil.Process]:
    """The processes below it in whose command some words stand."""
    return [one for one in program.descendants() if words in " ".join(one.cmdline())]


@pytest.mark.parametrize("engine", ["embedded", "mosquitto", "amqtt"])
def test_every_line_is_json_whatever_happens_to_redis_and_workers(tmp_path: Path, engine: str) -> None:
    """Tasks, workers and a Redis that are killed, a stop; what Celery says of it comes through."""
    with fog_node(tmp_path, *JSON, "--engine", engine, "--tasks", "tests/end_to_end/wild_tasks.py") as node:
        for name in ("looping", "dying"):
            assert not request(node.port, f"fog/tasks/light/{name}/me/{name}", "").ok
        for victim, name in (("fog_tasks.worker", "light workers"), ("redis.sock", "redis")):
            for process in named(node, victim):
                process.kill()
            node.wait_for_log(f'"name": "{name}"')
            assert value(request(node.port, f"fog/tasks/light/sum/me/{name[:5]}", "[1,2]")) == 3
        node.terminate()
        said = read(node.stderr)
    assert {"program_ended", "draining", "stopped"} <= {line["event"] for line in said}
    for words in ("Connection to broker lost", "exited with 'signal 9 (SIGKILL)'", "WorkerLostError"):
        assert any(words in line["event"] for line in said), words
    assert not any("DeprecationWarning" in line["event"] for line in said)


def test_a_start_and_a_stop_show_what_a_person_wants_to_read(tmp_path: Path) -> None:
    """Neither the banner of Redis nor the farewell of Celery, nor that there is room for many clients."""
    with cloud_node(tmp_path) as cloud:
        cloud.terminate()
        shown = [line.split("]")[1].split()[0] for line in cloud.stderr.splitlines()]
    assert shown == ["draining", "stopped"]


def test_a_broker_tells_its_lines_as_json(tmp_path: Path) -> None:
    with running(
        "broker", "--listen", "127.0.0.1:0", "--max-connections", "1000000000", *JSON, folder=tmp_path
    ) as one:
        one.terminate()
        assert [line["event"] for line in read(one.stderr)] == ["few_connections"]


@pytest.mark.parametrize(
    "command",
    [
        ("fog_node", "--listen", "127.0.0.1:0", "--tasks", "no_such_module"),
        ("broker", "--listen", "192.0.2.1:1883", "--allow-anonymous"),
    ],
)
def test_the_sentence_with_which_a_program_ends_is_json_too(tmp_path: Path, command: Sequence[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command, *JSON],
        cwd=REPOSITORY,
        env={"XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert read(done.stderr)[-1]["event"] == "ended"
