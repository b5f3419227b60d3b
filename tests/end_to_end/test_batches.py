"""Short jobs that go to a worker together, and what one bad one among them costs the others: nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.contract.messages import ErrorCode, Outcome, TaskError
from tests.support.eventually import eventually
from tests.support.programs import Program, fog_node
from weighbridge import Device

MIXED_TASKS = "tests/end_to_end/mixed_tasks.py"
CROWD = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the executions are noted."""
    folder = tmp_path / "executions"
    folder.mkdir()
    return folder


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Program]:
    with fog_node(tmp_path, "--tasks", MIXED_TASKS) as program:
        yield program


async def submit(device: Device, folder: Path, name: str, mood: str = "quick") -> Outcome:
    arguments = {"folder": str(folder), "name": name, "mood": mood}
    return await device.outcome("light", "moody", arguments, id=name)


async def crowd(node: Program, folder: Path, mood: str) -> dict[str, Outcome]:
    """The outcomes of one job of that mood in the midst of many quick ones, all submitted at once."""
    async with Device(node.url, name="me") as device:
        # Jobs go together once it is known how long they take.
        for number in range(3):
            await submit(device, folder, f"first-{number}")
        names = [f"quick-{number}" for number in range(CROWD)]
        names.insert(CROWD // 2, "bad")
        outcomes = await asyncio.gather(
            *(submit(device, folder, name, mood if name == "bad" else "quick") for name in names)
        )
    return dict(zip(names, outcomes, strict=True))


def executions(folder: Path, name: str) -> int:
    return len((folder / name).read_text().splitlines())


def code(outcome: Outcome) -> ErrorCode | None:
    return outcome.error.code if isinstance(outcome.error, TaskError) else None


@pytest.mark.parametrize(
    ("mood", "expected", "attempts"),
    [
        ("failing", ErrorCode.FAILED, 1),
        ("slow", ErrorCode.TIMED_OUT, 1),
        ("deaf", ErrorCode.TIMED_OUT, 1),
        ("deadly", ErrorCode.FAILED, 3),
    ],
)
async def test_a_bad_job_costs_no_other_its_outcome(
    node: Program, folder: Path, mood: str, expected: ErrorCode, attempts: int
) -> None:
    """It alone fails, is tried as often as it may be, and all others run exactly once."""
    outcomes = await crowd(node, folder, mood)
    bad = outcomes.pop("bad")
    assert code(bad) is expected
    assert [name for name, outcome in outcomes.items() if not outcome.ok] == []
    assert executions(folder, "bad") == attempts
    assert {name: executions(folder, name) for name in outcomes} == dict.fromkeys(outcomes, 1)


async def test_jobs_that_are_cancelled_while_their_batch_waits_are_not_run(
    node: Program, folder: Path
) -> None:
    async with Device(node.url, name="me") as device:
        for number in range(3):
            await submit(device, folder, f"first-{number}")
        # Whatever goes with it, or after it, waits behind the slow one for a second.
        slow = asyncio.create_task(submit(device, folder, "slow", "slow"))
        await eventually((folder / "slow").exists)
        names = [f"quick-{number}" for number in range(CROWD)]
        jobs = [asyncio.create_task(submit(device, folder, name)) for name in names]
        await asyncio.sleep(0)
        for name in names[::2]:
            await device.cancel(name)
        outcomes = dict(zip(names, await asyncio.gather(*jobs), strict=True))
        assert code(await slow) is ErrorCode.TIMED_OUT
    assert {code(outcomes[name]) for name in names[::2]} == {ErrorCode.CANCELLED}
    assert all(outcomes[name].ok for name in names[1::2])
    assert not [name for name in names[::2] if (folder / name).exists()]
