"""What a node does while Redis is away, and while the disk is full: nothing that it accepted is lost."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.contract.messages import ErrorCode, Progress, Stage, TaskError
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.node_states import wait_for_state
from tests.support.phone import value
from tests.support.programs import fog_node
from tests.support.redis import private_redis


def test_tasks_are_accepted_while_redis_is_away_and_answered_when_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    with contextlib.ExitStack() as stack:
        redis = contextlib.ExitStack()
        stack.callback(redis.close)
        url = redis.enter_context(private_redis(folder))
        node = stack.enter_context(fog_node(tmp_path, "--redis", url))
        redis.close()
        wait_for_state(node, lambda found: "Redis cannot be reached" in found.trouble)
        with (
            listening(node.port, "fog/progress/me/#", count=3) as progress,
            listening(node.port, "fog/results/me/#", count=3) as results,
        ):
            for number in range(3):
                publish(node.port, f"fog/tasks/light/sum/me/{number}", f"[{number}]", "-q", "1")
            stages = [msgspec.json.decode(line, type=Progress).stage for line in progress.wait()]
            assert stages == [Stage.ACCEPTED] * 3
            wait_for_state(node, lambda found: found.books.open == 3)
            redis.enter_context(private_redis(folder))
            assert len(results.wait()) == 3
        wait_for_state(node, lambda found: not found.trouble and not found.books.open)


def test_what_redis_had_is_placed_again_where_it_comes_back_empty(tmp_path: Path) -> None:
    """It is known from the journal alone what there is to do."""
    folder = tmp_path / "redis"
    with contextlib.ExitStack() as stack:
        redis = contextlib.ExitStack()
        stack.callback(redis.close)
        url = redis.enter_context(private_redis(folder))
        node = stack.enter_context(fog_node(tmp_path, "--redis", url, workers="medium=1"))
        with listening(node.port, "fog/results/me/#", count=4) as results:
            for number in range(4):
                publish(node.port, f"fog/tasks/medium/sleep/me/{number}", "0.5", "-q", "1")
            redis.close()
            redis.enter_context(private_redis(folder))
            assert len(results.wait()) == 4


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "weighbridge-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def fill(file: Path) -> None:
    """Write until nothing more fits."""
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(65536))
    with file.open("ab", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
        filler.write(bytes(65536))


def test_a_full_disk_refuses_in_a_sentence_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, fog_node(disk, workers="light=1,medium=1") as node:
        with listening(node.port, "fog/progress/me/before", count=2) as progress:
            publish(node.port, "fog/tasks/medium/sleep/me/before", "1.0", "-q", "1")
            progress.wait()
        fill(disk / "filler")
        # More than what the journal's log has room for by itself.
        refused = request(node.port, "fog/tasks/light/echo/me/full", f'"{"x" * 100_000}"')
        assert isinstance(refused.error, TaskError)
        assert refused.error.code is ErrorCode.OVERLOADED
        assert "cannot be written" in refused.error.message
        (disk / "filler").unlink()
        assert request(node.port, "fog/tasks/medium/sleep/me/before", "1.0").ok
        assert value(request(node.port, "fog/tasks/light/sum/me/after", "[1]")) == 1
        wait_for_state(node, lambda found: not found.books.open)
