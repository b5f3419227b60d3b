"""Celery's own tools, which know nothing of this project, beside a node's workers."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fog_node.infrastructure.redis_server import redis_socket
from fog_tasks.redis_url import celery_url, socket_url
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.programs import Program, fog_node
from weighbridge import Device

TIMEOUT = 20.0
CROWD = 60


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, str]]:
    """A node, and its Redis as Celery's tools are told of it."""
    folder = tmp_path_factory.mktemp("node")
    with fog_node(folder) as program:
        yield program, celery_url(socket_url(redis_socket(folder / "fog-a")))


@pytest.mark.parametrize("what", ["ping", "active", "registered", "stats", "active_queues", "conf", "report"])
def test_inspect_is_answered(node: tuple[Program, str], what: str) -> None:
    command = [sys.executable, "-m", "celery", "-b", node[1], "inspect", "--json", what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (answer,) = json.loads(done.stdout).values()
    if what == "registered":
        assert {"sum", "echo"} <= set(answer)
    if what == "stats":
        assert answer["pool"]["max-concurrency"] == 1


async def test_flower_shows_the_workers_and_the_tasks_of_devices_by_their_names(
    node: tuple[Program, str], tmp_path: Path
) -> None:
    """Also of those that go to a worker together."""
    program, url = node
    port = free_port()
    options = ("--address=127.0.0.1", f"--port={port}", f"--db={tmp_path / 'flower'}")
    flower = Program(
        ("celery", "-b", url, "flower", *options), tmp_path, {"FLOWER_UNAUTHENTICATED_API": "true"}
    )

    def shown(path: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{path}", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
        except OSError:
            return {}
        return found

    def tasks() -> list[dict[str, Any]]:
        return [one for one in shown("tasks").values() if one["state"] == "SUCCESS"]

    try:
        wanted = {"registered", "stats"}
        await eventually(lambda: any(wanted <= set(one) for one in shown("workers").values()), TIMEOUT)
        (worker,) = shown("workers").values()
        assert {"sum", "echo"} <= set(worker["registered"])
        assert worker["stats"]["pool"]["max-concurrency"] == 1
        async with Device(program.url, name="me") as device:

            async def submit(number: int) -> None:
                assert await device.submit("light", "sum", [number, 1]) == number + 1

            # Flower asks for events itself, but not in its first seconds.
            async with asyncio.timeout(TIMEOUT):
                while not tasks():
                    await submit(0)
            await asyncio.gather(*map(submit, range(CROWD)))
        await eventually(lambda: any("sum x " in (one["args"] or "") for one in tasks()), TIMEOUT)
        # One may have been received before its worker was asked to tell of it.
        assert {one["name"] for one in tasks() if one["received"]} == {"sum"}
    finally:
        flower.close()
