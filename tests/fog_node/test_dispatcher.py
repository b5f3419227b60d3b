"""Whole tasks through a node's centre: from what arrives at its broker to what is heard there."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from broker.contract.message import Message
from broker.contract.messages import (
    JSON,
    Books,
    ErrorCode,
    HandOff,
    Outcome,
    Report,
    Stage,
    TaskError,
    decode_progress,
    decode_report,
    decode_wait,
    encode,
)
from broker.contract.topics import CLOUD, Weight
from fog_node.jobs.job import Job
from fog_node.placement.here import NEVER
from fog_tasks.reporting.reports import Done, Failed
from tests.support.centre import NODE, Centre
from tests.support.eventually import eventually

SUM = "fog/tasks/medium/sum/me/1"
HANDED = f"fog/mesh/{NODE}/tasks/medium/sum/fog-z/key-1"
HAND_OFF = HandOff(device="lamp", id="7", payload=b"[1]", route=("fog-z",))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Centre]:
    """A node with two neighbours and a cloud."""
    async with Centre.opened(tmp_path / "journal.db", neighbours=["fog-b", "fog-c"], cloud=True) as made:
        yield made


async def take(node: Centre, topic: str = SUM, payload: bytes = b"[1]") -> Job:
    """Submit a task, and return its job once that is stored."""
    await asyncio.wait_for(node.submit(topic, payload), 5)
    return list(node.jobs)[-1]


def failure(code: ErrorCode) -> Report:
    return Report(outcome=Outcome(ok=False, id="1", node="b", route=("b",), error=TaskError(code, "no")))


def success(node: str) -> Report:
    outcome = Outcome(ok=True, value=msgspec.Raw(b"9"), id="1", node=node, route=(node,), ran_ms=2.0)
    return Report(outcome=outcome, wait_ms=0.0)


async def outcome_of(node: Centre) -> Outcome:
    """The first outcome that a device hears."""
    await eventually(lambda: node.outcomes)
    return node.outcomes[0]


async def error_of(node: Centre) -> ErrorCode:
    outcome = await outcome_of(node)
    assert isinstance(outcome.error, TaskError)
    return outcome.error.code


async def test_a_device_that_submits_a_task_hears_its_value(node: Centre) -> None:
    node.submit(SUM, correlation=b"c", response_topic="lights/answer")
    answers = node.listen("lights/answer")
    await eventually(lambda: answers)
    assert answers[0].correlation == b"c"
    outcome = msgspec.json.decode(answers[0].payload, type=Outcome)
    assert (outcome.ok, outcome.value, outcome.route) == (True, msgspec.Raw(b"1"), (NODE,))
    assert node.books.report() == Books(accepted=1, done=1)


PROPERTIES = (("traceparent", "00-1"), ("a", "2"), ("a", "1"))


async def submit(node: Centre, topic: str) -> None:
    """Submit a task with user properties, and wait for its outcome."""
    before = len(node.heard)
    node.submit(topic, user_properties=PROPERTIES)
    await eventually(lambda: len(node.heard) > before)


@pytest.mark.parametrize("task", ["sum", "gone"])
async def test_user_properties_come_back_in_order_with_json(node: Centre, task: str) -> None:
    """With an outcome, with one that is sent again, and with refusals."""
    for _ in range(2):
        await submit(node, f"fog/tasks/medium/{task}/me/1")
    assert [(one.content_type, one.user_properties) for one in node.heard] == [(JSON, PROPERTIES)] * 2


async def test_user_properties_come_back_after_a_restart(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        await asyncio.wait_for(node.submit(SUM, user_properties=PROPERTIES), 5)
    async with Centre.opened(tmp_path / "j.db") as node:
        node.dispatcher.recover()
        await eventually(lambda: node.heard)
        assert node.heard[0].user_properties == PROPERTIES


async def test_progress_is_json_and_has_nothing_of_the_sender(node: Centre) -> None:
    """It comes many times a task, and its topic says whose it is."""
    node.holding = True
    steps = node.listen("fog/progress/me/1")
    await asyncio.wait_for(node.submit(SUM, user_properties=PROPERTIES, correlation=b"c"), 5)
    assert [(one.content_type, one.user_properties, one.correlation) for one in steps] == [(JSON, (), None)]


async def test_a_message_for_somebody_else_is_ignored(node: Centre) -> None:
    message = Message(topic="fog/nodes/fog-b/state", payload=b"")
    assert node.dispatcher.receive(message) is None
    assert node.books.report() == Books()


async def test_a_device_cancels_a_task_that_runs(node: Centre) -> None:
    node.holding = True
    job = await take(node)
    await asyncio.wait_for(node.submit("fog/cancel/me/1", b""), 5)
    assert node.deciding.workers.withdrawn == [job]
    assert await error_of(node) is ErrorCode.CANCELLED
    assert node.books.report() == Books(accepted=1, cancelled=1)


async def test_a_task_that_is_cancelled_while_it_is_stored_has_one_answer(node: Centre) -> None:
    node.holding = True
    steps = node.listen("fog/progress/me/1")
    acknowledged = node.submit(SUM)
    await asyncio.wait_for(node.submit("fog/cancel/me/1", b""), 5)
    await asyncio.wait_for(acknowledged, 5)
    assert await error_of(node) is ErrorCode.CANCELLED
    assert steps == []


@pytest.mark.parametrize("topic", ["fog/cancel/me/other", f"fog/mesh/{NODE}/cancel/fog-z/nothing"])
async def test_cancelling_what_there_is_not_does_nothing(node: Centre, topic: str) -> None:
    assert node.submit(topic, b"") is None
    assert node.heard == []


async def test_cancelling_twice_does_nothing_more(node: Centre) -> None:
    node.holding = True
    await take(node)
    node.submit("fog/cancel/me/1", b"")
    assert node.submit("fog/cancel/me/1", b"") is None


async def test_a_task_at_a_neighbour_comes_back_with_its_value(node: Centre) -> None:
    node.deciding.busy()
    steps = node.listen("fog/progress/me/1")
    job = await take(node)
    where = next(there for there in node.deciding.mesh.peers() if there.jobs)
    assert [decode_progress(one.payload).stage for one in steps] == [Stage.ACCEPTED, Stage.PLACED]
    await asyncio.wait_for(node.report_from(where.address, job, success(where.address)), 5)
    outcome = await outcome_of(node)
    assert (outcome.node, outcome.route) == (where.address, (where.address, NODE))


async def test_a_task_at_a_neighbour_that_is_gone_runs_here(node: Centre) -> None:
    node.deciding.busy()
    job = await take(node)
    node.deciding.mesh.by_name.clear()
    node.deciding.listener.lost(job, 0.0)
    assert (await outcome_of(node)).node == NODE


async def test_a_task_that_a_neighbour_refuses_is_placed_elsewhere(node: Centre) -> None:
    node.deciding.busy()
    job = await take(node)
    first = next(there for there in node.deciding.mesh.peers() if there.jobs)
    job.avoid(first.address)
    assert node.report_from(first.address, job, failure(ErrorCode.OVERLOADED)) is None
    (second,) = (there for there in node.deciding.mesh.peers() if there is not first)
    assert second.jobs == [job]
    assert node.heard == []


async def test_a_task_that_every_place_refuses_ends_with_the_last_reason(node: Centre) -> None:
    node.deciding.without_workers()
    job = await take(node)
    for place in ("fog-b", "fog-c", CLOUD):
        job.avoid(place)
    await asyncio.wait_for(node.report_from(CLOUD, job, failure(ErrorCode.UNKNOWN_TASK)), 5)
    assert await error_of(node) is ErrorCode.UNKNOWN_TASK


async def test_a_task_for_which_there_is_no_room_to_leave_ends(node: Centre) -> None:
    node.deciding.busy()
    for there in node.deciding.mesh.peers():
        there.full = True
    node.submit(SUM)
    assert await error_of(node) is ErrorCode.OVERLOADED
    assert node.books.report() == Books(accepted=1, failed=1)


async def test_a_task_whose_deadline_passes_before_it_leaves_has_expired(node: Centre) -> None:
    job = await take(node, "fog/tasks/heavy/sum/me/1")
    node.deciding.listener.expired(job, 0.0)
    assert await error_of(node) is ErrorCode.EXPIRED
    assert node.books.report() == Books(accepted=1, expired=1)


async def test_a_task_that_kills_its_workers_fails_and_leaves_a_dead_letter(node: Centre) -> None:
    node.holding = True
    job = await take(node)
    died = Failed("t", ErrorCode.FAILED, "the process died", 0.0, killed=True, worker_lost=True)
    node.report(job, died)
    assert await error_of(node) is ErrorCode.FAILED
    with contextlib.closing(sqlite3.connect(node.path)) as other:
        assert other.execute("SELECT key, reason FROM dead").fetchall() == [(job.key, "the process died")]


async def test_a_task_in_parts_has_one_outcome(node: Centre) -> None:
    node.holding = True
    whole = await take(node, "fog/tasks/medium/add/me/1", b'{"numbers":[1,2]}')
    (step,) = node.deciding.workers.jobs
    node.report(step, Done("t", msgspec.json.encode([b"1"]), 1.0))
    node.report(node.deciding.workers.jobs[-1], Done("t", b"3", 1.0))
    node.report(node.deciding.workers.jobs[-1], Done("t", b"3", 1.0))
    outcome = await outcome_of(node)
    assert (outcome.id, outcome.why) == (whole.id, "split into 1 parts: fog-a 1")
    assert node.books.report() == Books(accepted=1, done=1)


async def test_a_task_of_which_a_part_fails_twice_fails(node: Centre) -> None:
    node.holding = True
    await take(node, "fog/tasks/medium/add/me/1", b'{"numbers":[1,2]}')
    node.report(node.deciding.workers.jobs[-1], Done("t", msgspec.json.encode([b"1"]), 1.0))
    for _ in range(2):
        node.report(node.deciding.workers.jobs[-1], Failed("t", ErrorCode.FAILED, "it raised", 1.0))
    outcome = await outcome_of(node)
    assert outcome.error == TaskError(ErrorCode.FAILED, "a part: it raised")


async def test_a_task_in_parts_is_split_anew_in_the_next_life(tmp_path: Path) -> None:
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        await take(node, "fog/tasks/medium/add/me/1", b'{"numbers":[1,2]}')
    async with Centre.opened(tmp_path / "j.db") as node:
        node.holding = True
        node.dispatcher.recover()
        assert [step.task for step in node.deciding.workers.jobs] == ["add/split"]


async def test_what_another_node_hands_over_is_accepted_and_answered_there(node: Centre) -> None:
    reports = node.listen("fog/mesh/fog-z/results/key-1")
    node.submit(HANDED, encode(msgspec.structs.replace(HAND_OFF, user_properties=PROPERTIES)))
    await eventually(lambda: reports and decode_report(reports[-1].payload).outcome is not None)
    first, last = decode_report(reports[0].payload), decode_report(reports[-1].payload)
    assert first.progress is None or first.progress.stage is Stage.ACCEPTED
    assert last.outcome is not None
    assert (last.outcome.id, last.outcome.ok, last.wait_ms) == ("7", True, 0.0)
    assert reports[-1].user_properties == PROPERTIES
    assert node.heard == []


async def test_what_is_handed_over_twice_runs_once_and_says_that_it_is_here(node: Centre) -> None:
    node.holding = True
    reports = node.listen("fog/mesh/fog-z/results/key-1")
    for _ in range(2):
        await asyncio.wait_for(node.submit(HANDED, encode(HAND_OFF)), 5)
    steps = [decode_report(one.payload).progress for one in reports]
    assert [step.stage for step in steps if step is not None] == [Stage.ACCEPTED] * 2
    assert len(node.deciding.workers.jobs) == 1


async def test_what_another_node_takes_back_ends_and_is_answered_there(node: Centre) -> None:
    node.holding = True
    reports = node.listen("fog/mesh/fog-z/results/key-1")
    job = await take(node, HANDED, encode(HAND_OFF))
    await asyncio.wait_for(node.submit(f"fog/mesh/{NODE}/cancel/fog-z/key-1", b""), 5)
    assert node.deciding.workers.withdrawn == [job]
    outcome = decode_report(reports[-1].payload).outcome
    assert outcome is not None
    assert isinstance(outcome.error, TaskError)
    assert outcome.error.code is ErrorCode.CANCELLED


@pytest.mark.parametrize("payload", [b"", b"\xff", encode(HAND_OFF)[:-3]])
async def test_a_hand_off_that_cannot_be_read_is_left(node: Centre, payload: bytes) -> None:
    assert node.submit(HANDED, payload) is None
    assert node.books.report() == Books()


async def test_a_hand_off_of_an_unknown_task_is_refused_there(node: Centre) -> None:
    reports = node.listen("fog/mesh/fog-z/results/key-1")
    node.submit(HANDED.replace("/sum/", "/gone/"), encode(HAND_OFF))
    outcome = decode_report(reports[0].payload).outcome
    assert outcome is not None
    assert isinstance(outcome.error, TaskError)
    assert outcome.error.code is ErrorCode.UNKNOWN_TASK


@pytest.mark.parametrize(("weight", "wait_ms"), [("medium", 9000.0), ("light", 0.0), ("heavy", 1e3 * NEVER)])
async def test_another_node_that_asks_is_told_the_wait_here(
    node: Centre, weight: str, wait_ms: float
) -> None:
    node.deciding.busy()
    node.deciding.without_workers(Weight.HEAVY)
    answers = node.listen("fog/mesh/fog-z/waits/+")
    assert node.submit(f"fog/mesh/{NODE}/asks/{weight}/sum/fog-z/q-1", b"") is None
    assert [one.topic for one in answers] == ["fog/mesh/fog-z/waits/q-1"]
    assert decode_wait(answers[0].payload).wait_ms == wait_ms
