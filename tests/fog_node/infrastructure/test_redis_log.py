"""What a real Redis says, and what of it is passed on."""

import subprocess
from pathlib import Path
from typing import Any

import structlog.testing

from fog_node.infrastructure.redis_log import pass_on
from fog_node.infrastructure.redis_server import find_server, private_command, redis_socket


def passed_on(said: bytes) -> list[Any]:
    with structlog.testing.capture_logs() as logged:
        pass_on(said.splitlines())
    return [line["said"] for line in logged]


def test_its_own_story_is_left_out_and_a_failure_is_not(tmp_path: Path) -> None:
    socket = redis_socket(tmp_path)
    command = private_command(find_server(), tmp_path, socket)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        story = running.stdout.readline()
        while not socket.is_socket():
            assert running.poll() is None
        running.terminate()
        story += running.stdout.read()
    assert len(story.splitlines()) > 3
    assert passed_on(story) == []
    failed = subprocess.run(
        [*command, "--unixsocket", str(tmp_path / "nowhere" / "redis.sock")],
        stdout=subprocess.PIPE,
        check=False,
    )
    (sentence,) = passed_on(failed.stdout)
    assert sentence.startswith("Failed opening Unix socket")


def test_what_has_no_form_is_passed_on_as_it_is() -> None:
    assert passed_on(b"=== REDIS BUG REPORT START: Cut & paste starting from here ===\n\n") == [
        "=== REDIS BUG REPORT START: Cut & paste starting from here ==="
    ]
