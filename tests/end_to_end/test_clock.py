"""A whole node with its workers on a machine whose clock jumps by a year; Redis starts on no faked clock."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from broker.contract.messages import Outcome
from tests.support.mosquitto_clients import TIMEOUT, publish, request
from tests.support.phone import value
from tests.support.programs import Program, running
from tests.support.redis import private_redis

YEAR = 365 * 24 * 3600
SUBSCRIBER = ("mosquitto_sub", "-i", "phone", "-c", "-q", "1", "-t", "fog/results/phone/#", "-p")
WAITING = '{"$args":["four"],"$deadline":3600}'
TASKS = Path(__file__).with_name("busy_tasks.py")
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class Machine:
    """Where a node runs whose wall clock, and no other, is as far ahead as `jump` was told last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ahead = folder / "ahead"
        self.jump(0)

    def jump(self, ahead: int) -> None:
        self._ahead.write_text(f"{ahead:+d}\n")

    @contextlib.contextmanager
    def node(self, workers: str) -> Iterator[Program]:
        environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._ahead),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        command = ("fog_node", "--name", "fog-a", "--listen", "127.0.0.1:0", "--workers", workers)
        files = ("--data", str(self._folder / "data"), "--tasks", str(TASKS))
        with (
            private_redis(self._folder / "redis") as url,
            running(*command, *files, "--redis", url, folder=self._folder, environment=environment) as node,
        ):
            yield node


def check(outcome: Outcome) -> None:
    """No time of it is one that a clock has jumped over."""
    assert outcome.ok
    for milliseconds in (outcome.waited_ms, outcome.ran_ms, outcome.total_ms):
        assert 0.0 <= milliseconds < 1e3 * YEAR / 2


def subscribe_and_leave(node: Program) -> None:
    subprocess.run([*SUBSCRIBER, str(node.port), "-E"], check=True, timeout=TIMEOUT)


def come_back(node: Program, count: int) -> list[object]:
    """What so many outcomes say that waited for the phone."""
    command = [*SUBSCRIBER, str(node.port), "-C", str(count), "-W", str(int(TIMEOUT))]
    came = subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT + 5).stdout
    return [value(msgspec.json.decode(one, type=Outcome)) for one in came.splitlines()]


@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")
@pytest.mark.parametrize("before", [-YEAR, YEAR])
def test_what_was_promised_for_an_hour_is_held_for_an_hour_of_running_time(
    tmp_path: Path, before: int
) -> None:
    """In a life that sees the clock jump, and in one that finds it jumped, forward and back."""
    machine = Machine(tmp_path)
    machine.jump(before)
    with machine.node("light=1,medium=1") as node:
        subscribe_and_leave(node)
        check(first := request(node.port, "fog/tasks/light/echo/phone/first", '"one"'))
        # One waits behind the other, for an hour at most, and still does when the node is killed.
        publish(node.port, "fog/tasks/medium/busy/me/busy", "", "-q", "1")
        publish(node.port, "fog/tasks/medium/echo/me/waiting", WAITING, "-q", "1")
        machine.jump(0)
        check(request(node.port, "fog/tasks/light/echo/phone/second", '"two"'))
        again = request(node.port, "fog/tasks/light/echo/phone/first", '"one"')
        assert again.total_ms == first.total_ms
        machine.jump(-before)
        check(request(node.port, "fog/tasks/light/echo/phone/third", '"three"'))
        family = node.descendants()
        node.kill()
        # The library cannot fake the sleep of a start that has to wait for them.
        psutil.wait_procs(family, timeout=TIMEOUT)
    with machine.node("light=1,medium=2") as node:
        assert come_back(node, 4) == ["one", "two", "one", "three"]
        again = request(node.port, "fog/tasks/light/echo/phone/first", '"one"')
        assert again.total_ms == first.total_ms
        check(request(node.port, "fog/tasks/medium/echo/me/waiting", WAITING))
