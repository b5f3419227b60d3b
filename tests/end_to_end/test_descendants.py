"""What a task starts ends with it, and pools of processes work in tasks."""

import itertools
import os
import signal
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from broker.contract.messages import Outcome
from tests.end_to_end.family_tasks import POOLS
from tests.support.eventually import eventually
from tests.support.phone import value
from tests.support.programs import Program, fog_node
from weighbridge import Device

TIMEOUT = 30.0
_numbers = itertools.count()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    options = ("--tasks", "tests/end_to_end/family_tasks.py")
    with fog_node(tmp_path_factory.mktemp("node"), *options) as program:
        yield program


@pytest.fixture
def seconds() -> str:
    """For how long programs sleep: a number that no other program on this machine has among its arguments."""
    return f"600.{os.getpid()}{next(_numbers):03}"


def sleeping(seconds: str) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if seconds in (one.info["cmdline"] or ())]


def none_exists(processes: Iterable[int]) -> bool:
    return not any(map(psutil.pid_exists, processes))


async def run(node: Program, task: str, *arguments: object) -> Outcome:
    async with Device(node.url, name="phone") as phone:
        return await phone.outcome("light", task, list(arguments), timeout=TIMEOUT)


async def test_a_shell_that_takes_too_long_ends_with_its_task(node: Program, seconds: str) -> None:
    assert "was killed" in str((await run(node, "shelling", seconds)).error)
    await eventually(lambda: not sleeping(seconds), TIMEOUT)


@pytest.mark.parametrize("end", ["return", "raise", "crash"])
async def test_what_a_task_leaves_behind_ends_with_it(node: Program, seconds: str, end: str) -> None:
    assert (await run(node, "leaving_behind", seconds, end)).ok == (end == "return")
    await eventually(lambda: not sleeping(seconds), TIMEOUT)
    assert "descendants_ended" in node.stderr
    assert (await run(node, "whoami")).ok


async def test_what_a_task_has_started_ends_when_it_is_cancelled(node: Program, seconds: str) -> None:
    async with Device(node.url, name="phone") as phone:
        task = await phone.send("light", "leaving_behind", [seconds, "wait"])
        await eventually(lambda: len(sleeping(seconds)) == 3, TIMEOUT)
        await phone.cancel(task.id)
        assert not (await task.outcome(timeout=TIMEOUT)).ok
    await eventually(lambda: not sleeping(seconds), TIMEOUT)


async def test_what_a_task_has_started_ends_with_the_worker_and_with_the_node(
    tmp_path: Path, seconds: str
) -> None:
    options = ("--tasks", "tests/end_to_end/family_tasks.py", "--drain", "0.1")
    with fog_node(tmp_path, *options) as node:
        async with Device(node.url, name="phone") as phone:
            await phone.send("light", "leaving_behind", [seconds, "wait"])
            await eventually(lambda: len(sleeping(seconds)) == 3, TIMEOUT)
            before = sleeping(seconds)
            worker = next(one for one in node.descendants() if "fog_tasks.worker" in one.cmdline())
            worker.kill()
            # In its group; what has a session of its own is not found any more.
            await eventually(lambda: not before[0].is_running(), TIMEOUT)
            # It runs again.
            await eventually(lambda: len(sleeping(seconds)) >= 3, TIMEOUT)
        late = {one.pid for one in sleeping(seconds)} - {one.pid for one in before}
        assert node.terminate() == 0
        await eventually(lambda: not late & {one.pid for one in sleeping(seconds)}, TIMEOUT)
    for one in sleeping(seconds):
        one.kill()


async def test_a_program_that_has_ended_costs_a_task_nothing(node: Program) -> None:
    """Its process stays the same, with whatever it has loaded."""
    first = value(await run(node, "unwaited"))
    assert [value(await run(node, "unwaited")) for _ in range(5)] == [first] * 5


async def test_what_a_task_forks_ends_when_it_is_told_to_however_soon(node: Program) -> None:
    """A pool that is closed waits for its processes, for ever if one does not hear."""
    assert value(await run(node, "told_to_end")) == [signal.SIGTERM] * 100


@pytest.mark.parametrize("pool", POOLS)
async def test_several_processes_compute_and_nothing_of_them_is_left(node: Program, pool: str) -> None:
    for _ in range(3):
        outcome = await run(node, "computing", pool)
        assert outcome.ok, outcome
        computed = value(outcome)
        assert isinstance(computed, list)
        assert computed[0] == [0, 1, 4, 9]
        assert computed[1]
        await eventually(partial(none_exists, computed[1]), TIMEOUT)
