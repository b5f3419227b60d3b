"""Tasks on their way in: stored and acknowledged once each, or refused."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.contract.messages import (
    Books,
    ErrorCode,
    HandOff,
    Stage,
    TaskError,
    decode_progress,
    decode_report,
    encode,
)
from broker.contract.refusal import Refusal
from broker.contract.topics import Weight
from fog_node.jobs.limits import DeviceLimits
from fog_node.jobs.reasons import reason_for
from fog_node.placement.policies.situation import Decision, Probe, Situation, Work
from tests.support.centre import NODE, Centre
from tests.support.eventually import eventually

SUM = "fog/tasks/medium/sum/me/1"


def asks_fog_b(_work: Work, situation: Situation, _chance: object, /) -> Decision | Probe:
    """Ask a neighbour first, and then send the job there."""
    if not situation.probed:
        return Probe(("fog-b",))
    return Decision(situation.neighbours[0], "asked", situation)


def error(node: Centre) -> ErrorCode:
    """Why the one task that was answered has no value."""
    (outcome,) = node.outcomes
    assert isinstance(outcome.error, TaskError)
    return outcome.error.code


def told(node: Centre, code: ErrorCode) -> Refusal:
    """What the acknowledgement of the one task that was refused with this code has to say."""
    (outcome,) = node.outcomes
    assert isinstance(outcome.error, TaskError)
    assert outcome.error.code is code
    return Refusal(reason_for(code), outcome.error.message)


async def test_a_task_is_acknowledged_when_it_is_stored(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        acknowledged = node.submit(SUM)
        assert not acknowledged.done()
        assert await asyncio.wait_for(acknowledged, 5) is None
        assert [job.id for job in node.journal.open_jobs()] == ["1"]


async def test_a_task_runs_while_it_is_being_stored(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        acknowledged = node.submit(SUM)
        assert len(node.deciding.workers.jobs) == 1
        assert not acknowledged.done()


async def test_a_device_hears_that_its_task_is_accepted_and_never_after_its_outcome(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        heard = node.listen("fog/#")
        await asyncio.wait_for(node.submit(SUM), 5)
        await eventually(lambda: node.outcomes)
        assert [one.topic for one in heard][-1] == "fog/results/me/1"


async def test_a_task_that_comes_twice_while_it_is_stored_has_one_acknowledgement(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        assert node.submit(SUM) is node.submit(SUM)
        assert len(node.deciding.workers.jobs) == 1


async def test_a_task_that_is_open_already_is_accepted_again_and_runs_once(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        steps = node.listen("fog/progress/me/1")
        for _ in range(2):
            await asyncio.wait_for(node.submit(SUM), 5)
        assert [decode_progress(one.payload).stage for one in steps] == [Stage.ACCEPTED] * 2
        assert len(node.deciding.workers.jobs) == 1
        assert node.books.report() == Books(accepted=1, open=1)


async def test_a_task_that_has_ended_is_answered_from_the_journal(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.submit(SUM)
        await eventually(lambda: node.outcomes)
        await asyncio.wait_for(node.submit(SUM), 5)
        first, second = node.outcomes
        assert not first.repeated
        assert second == msgspec.structs.replace(first, repeated=True)
        assert len(node.deciding.workers.jobs) == 1


OTHERS = [("sum", b"[2]"), ("echo", b"[1]"), ("sum", b'{"$args":[2],"$deadline":5}')]


@pytest.mark.parametrize(("task", "payload"), OTHERS)
async def test_another_task_under_the_same_id_runs_though_the_first_is_open(
    tmp_path: Path, task: str, payload: bytes
) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        await asyncio.wait_for(node.submit(SUM, b"[1]"), 5)
        await asyncio.wait_for(node.submit(f"fog/tasks/medium/{task}/me/1", payload), 5)
        assert len(node.deciding.workers.jobs) == 2
        assert node.books.report() == Books(accepted=2, open=2)
        await asyncio.wait_for(node.submit("fog/cancel/me/1", b""), 5)
        await eventually(lambda: node.books.report() == Books(accepted=2, cancelled=2))


@pytest.mark.parametrize(("task", "payload"), OTHERS)
async def test_another_task_under_the_same_id_runs_after_the_first(
    tmp_path: Path, task: str, payload: bytes
) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.submit(SUM, b"[1]")
        await eventually(lambda: node.outcomes)
        node.submit(f"fog/tasks/medium/{task}/me/1", payload)
        await eventually(lambda: len(node.outcomes) == 2)
        assert not any(one.repeated for one in node.outcomes)


async def test_a_task_that_a_node_hands_over_again_is_the_same_and_another_of_its_name_is_not(
    tmp_path: Path,
) -> None:
    """The key says it, whatever the payload is: what is left of the deadline is not in it."""
    handed = HandOff(device="lamp", id="7", payload=b"[1]", route=("fog-z",))
    async with Centre.opened(tmp_path / "j.db") as node:
        for key in ("k-1-0", "k-1-0", "k-2-0", "k-1-0"):
            await asyncio.wait_for(
                node.submit(f"fog/mesh/{NODE}/tasks/medium/sum/fog-z/{key}", encode(handed)), 5
            )
        await eventually(lambda: node.books.report() == Books(accepted=2, done=2))


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        ("fog/tasks/medium/gone/me/1", b"", ErrorCode.UNKNOWN_TASK),
        ("fog/tasks/medium/sum/me/1", b"{", ErrorCode.BAD_PAYLOAD),
        ("fog/tasks/medium/sum/me/1", b'["x"]', ErrorCode.BAD_ARGUMENTS),
        ("fog/tasks/medium/sum/me/1", b" " * 1001, ErrorCode.TOO_LARGE),
        ("fog/tasks/huge/sum/me/1", b"", ErrorCode.BAD_TOPIC),
        ("fog/tasks/heavy/sum/me/1", b"[1]", ErrorCode.UNROUTABLE),
    ],
)
async def test_what_is_no_task_for_this_node_is_refused_with_the_reason(
    tmp_path: Path, topic: str, payload: bytes, code: ErrorCode
) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.deciding.queues.of.pop(Weight.HEAVY)
        assert node.submit(topic, payload) == told(node, code)
        assert node.books.report() == Books(accepted=1, rejected=1)


@pytest.mark.parametrize(
    ("bounds", "code"),
    [
        ({"most": 1}, ErrorCode.OVERLOADED),
        ({"limits": DeviceLimits(rate=0, burst=1, open=1)}, ErrorCode.RATE_LIMITED),
        ({"limits": DeviceLimits(rate=0.001, burst=1, open=0)}, ErrorCode.RATE_LIMITED),
    ],
    ids=["backlog", "open", "rate"],
)
async def test_more_than_may_be_open_is_refused(
    tmp_path: Path, bounds: dict[str, Any], code: ErrorCode
) -> None:
    async with Centre.opened(tmp_path / "j.db", **bounds) as node:
        node.holding = True
        node.submit(SUM)
        assert node.submit("fog/tasks/medium/sum/me/2") == told(node, code)


async def test_a_cloud_for_which_too_much_waits_takes_no_more(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db", cloud=True) as node:
        assert node.deciding.cloud is not None
        node.deciding.cloud.full = True
        assert node.submit("fog/tasks/heavy/sum/me/1") == told(node, ErrorCode.OVERLOADED)


async def test_a_hand_off_that_is_refused_is_acknowledged_and_answered_by_a_report(tmp_path: Path) -> None:
    """The other node's link would send again what is not acknowledged well."""
    handed = HandOff(device="lamp", id="7", payload=b"[1]", route=("fog-z",))
    async with Centre.opened(tmp_path / "j.db") as node:
        reports = node.listen("fog/mesh/fog-z/results/key-1")
        assert node.submit(f"fog/mesh/{NODE}/tasks/medium/gone/fog-z/key-1", encode(handed)) is None
        (report,) = reports
        outcome = decode_report(report.payload).outcome
        assert outcome is not None
        assert isinstance(outcome.error, TaskError)
        assert outcome.error.code is ErrorCode.UNKNOWN_TASK


async def test_a_job_that_cannot_be_stored_was_not_accepted(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        node.break_writes("INSERT")
        steps = node.listen("fog/progress/me/1")
        acknowledged = await asyncio.wait_for(node.submit(SUM), 5)
        assert acknowledged == told(node, ErrorCode.OVERLOADED)
        assert (len(node.jobs), steps) == (0, [])
        assert node.deciding.workers.withdrawn == node.deciding.workers.jobs
        assert node.books.report() == Books(accepted=1, rejected=1)


async def test_a_job_that_ended_before_it_could_not_be_stored_has_one_answer(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.break_writes("INSERT")
        await asyncio.wait_for(node.submit(SUM), 5)
        await asyncio.wait_for(node.endings.settle(), 10)
        assert error(node) is ErrorCode.OVERLOADED
        assert node.books.report() == Books(accepted=1, rejected=1)


async def test_a_task_that_could_not_be_stored_may_be_sent_again(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.break_writes("INSERT")
        await asyncio.wait_for(node.submit(SUM), 5)
        node.mend_writes()
        await asyncio.wait_for(node.submit(SUM), 5)
        await eventually(lambda: len(node.outcomes) == 2)
        assert node.outcomes[1].ok


async def test_a_job_is_stored_while_neighbours_are_asked_and_leaves_after_both(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db", neighbours=["fog-b"], policy=asks_fog_b) as node:
        answered = node.asked.answered = asyncio.get_running_loop().create_future()
        await asyncio.wait_for(node.submit(SUM), 5)
        there = node.deciding.mesh.by_name["fog-b"].jobs
        assert (node.asked.nodes, there) == ([("fog-b",)], [])
        answered.set_result(None)
        await eventually(lambda: there)


async def test_a_job_whose_answers_are_there_first_leaves_when_it_is_stored(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db", neighbours=["fog-b"], policy=asks_fog_b) as node:
        node.asked.answered = asyncio.get_running_loop().create_future()
        node.asked.answered.set_result(None)
        acknowledged = node.submit(SUM)
        await asyncio.sleep(0)
        assert node.deciding.mesh.by_name["fog-b"].jobs == []
        await asyncio.wait_for(acknowledged, 5)
        assert len(node.deciding.mesh.by_name["fog-b"].jobs) == 1


async def test_neighbours_that_cannot_be_asked_are_not_waited_for(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db", neighbours=["fog-b"], policy=asks_fog_b) as node:
        await asyncio.wait_for(node.submit(SUM), 5)
        assert len(node.deciding.mesh.by_name["fog-b"].jobs) == 1


async def test_a_job_that_is_cancelled_while_neighbours_are_asked_goes_nowhere(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db", neighbours=["fog-b"], policy=asks_fog_b) as node:
        node.asked.answered = asyncio.get_running_loop().create_future()
        node.submit(SUM)
        await asyncio.wait_for(node.submit("fog/cancel/me/1"), 5)
        node.asked.answered.set_result(None)
        await asyncio.sleep(0)
        assert node.deciding.mesh.by_name["fog-b"].jobs == []
        assert error(node) is ErrorCode.CANCELLED


async def test_open_jobs_go_on_in_the_next_life(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        for number in range(3):
            await asyncio.wait_for(node.submit(f"fog/tasks/medium/sum/me/{number}"), 5)
    async with Centre.opened(tmp_path / "j.db") as node:
        assert node.dispatcher.recover() == 3
        await eventually(lambda: len(node.outcomes) == 3)
        assert all(outcome.ok for outcome in node.outcomes)
        assert node.books.report() == Books(accepted=3, done=3)


async def test_a_job_of_a_task_that_is_not_loaded_any_more_is_answered_in_the_next_life(
    tmp_path: Path,
) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        await asyncio.wait_for(node.submit(SUM), 5)
    async with Centre.opened(tmp_path / "j.db", tasks=()) as node:
        node.dispatcher.recover()
        await asyncio.wait_for(node.endings.settle(), 5)
        assert error(node) is ErrorCode.UNKNOWN_TASK
