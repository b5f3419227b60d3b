"""What tasks print and log is in the node's log; and nobody minds where that cannot be written."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.programs import REPOSITORY, Program, fog_node
from weighbridge import Device

TASKS = "tests/end_to_end/speaking_tasks.py"
TIMEOUT = 30.0

LEVELS = {
    "print": "info",
    "stderr": "warning",
    "bytes": "info",
    "info": "info",
    "celery": "info",
    "thread": "info",
    "C code": "info",
    "program": "info",
    "its stderr": "warning",
}


def lines(node: Program) -> Iterator[dict[str, Any]]:
    """What the node and its workers have logged; other programs write in their own way."""
    for line in node.stderr.splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def said(node: Program, words: str) -> dict[str, Any] | None:
    """The first line with these words."""
    return next((line for line in lines(node) if words in (line.get("text"), line["event"])), None)


async def test_what_tasks_say_is_logged_under_their_names_while_they_run(tmp_path: Path) -> None:
    options = ("--tasks", TASKS, "--log-format", "json")
    with fog_node(tmp_path, *options, workers="light=2") as node:
        imported = [line["program"] for line in lines(node) if line.get("text") == "while it is imported"]
        assert imported == ["fog-a", "worker light"]
        async with Device(node.url, name="phone") as phone:
            stops = {word: tmp_path / word for word in ("one", "two")}
            tasks = {
                word: await phone.send("light", "speaking", [str(stop), word], id=f"id-{word}")
                for word, stop in stops.items()
            }
            for way, level in LEVELS.items():
                for word in stops:
                    await eventually(partial(said, node, f"{way} {word}"), TIMEOUT)
                    line = said(node, f"{way} {word}")
                    assert line is not None
                    assert (line["level"], line["program"]) == (level, "worker light")
                    assert (line["task"], line["device"], line["id"]) == ("speaking", "phone", f"id-{word}")
            for word, task in tasks.items():
                stops[word].touch()
                assert (await task.outcome(timeout=TIMEOUT)).ok
                line = said(node, f"unfinished {word}")
                assert line is not None
                assert line["id"] == f"id-{word}"
            assert not any("debug" in str(line) for line in lines(node) if line.get("task"))
            crash = await phone.send("light", "crashing", "oh", id="crash")
            assert not (await crash.outcome(timeout=TIMEOUT)).ok
            await eventually(lambda: said(node, "last words oh"), TIMEOUT)
            assert (said(node, "last words oh") or {})["id"] == "crash"


async def test_below_the_level_nothing_is_heard(tmp_path: Path) -> None:
    with fog_node(tmp_path, "--tasks", TASKS, "--log-level", "warning") as node:
        async with Device(node.url, name="phone") as phone:
            stop = tmp_path / "stop"
            stop.touch()
            assert (await phone.outcome("light", "speaking", [str(stop), "w"], timeout=TIMEOUT)).ok
        await eventually(lambda: "its stderr w" in node.stderr, TIMEOUT)
        assert "stderr w" in node.stderr
        assert not any(f"{way} w" in node.stderr for way, level in LEVELS.items() if level == "info")


async def test_a_program_of_a_task_may_write_much_also_after_redis_was_gone(tmp_path: Path) -> None:
    """The worker reads it, and makes its connections anew."""
    with fog_node(tmp_path, "--tasks", TASKS) as node:
        next(one for one in node.descendants() if "redis" in one.name()).kill()
        await eventually(lambda: "program_ended" in node.stderr, TIMEOUT)
        async with Device(node.url, name="phone") as phone:
            assert (await phone.outcome("light", "flooding", timeout=TIMEOUT)).ok
        await eventually(lambda: node.stderr.count("x" * 10_000) == 300, TIMEOUT)


def terminal() -> tuple[int, Callable[[], None]]:
    ours, theirs = pty.openpty()
    return theirs, lambda: os.close(ours)


def pipe() -> tuple[int, Callable[[], None]]:
    reader, writer = os.pipe()
    return writer, lambda: os.close(reader)


def disk() -> tuple[int, Callable[[], None]]:
    return os.open("/dev/full", os.O_WRONLY), lambda: None


@pytest.mark.parametrize("opened", [terminal, pipe, disk])
async def test_neither_tasks_nor_node_mind_that_their_log_is_gone(
    tmp_path: Path, opened: Callable[[], tuple[int, Callable[[], None]]]
) -> None:
    """A terminal that was closed, a pipe that nobody reads any more, a full disk."""
    stderr, lose = opened()
    data = ("--data", str(tmp_path / "fog-a"))
    options = ("--listen", "127.0.0.1:0", "--tasks", TASKS, *data, "--workers", "light=1")
    node = subprocess.Popen(  # noqa: ASYNC220 - it takes no time
        [sys.executable, "-m", "fog_node", *options],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        # Without a terminal that would end it when it is closed.
        start_new_session=True,
        text=True,
    )
    os.close(stderr)
    try:
        assert node.stdout is not None
        url = node.stdout.readline().split()[2]
        lose()
        node.stdout.close()
        stop = tmp_path / "stop"
        stop.touch()
        async with Device(url, name="phone") as phone:
            assert (await phone.outcome("light", "speaking", [str(stop), "w"], timeout=TIMEOUT)).ok
            # A process of the worker is replaced, and the next one prints as well.
            assert not (await phone.outcome("light", "crashing", "w", timeout=TIMEOUT)).ok
            assert (await phone.outcome("light", "speaking", [str(stop), "w"], timeout=TIMEOUT)).ok
        node.terminate()
        assert node.wait(TIMEOUT) == 0
    finally:
        node.kill()
        node.wait()
