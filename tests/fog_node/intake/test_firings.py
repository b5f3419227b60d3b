"""Rules start tasks: by messages, by each other's outcomes, by the clock."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from broker.contract.identity import Role
from broker.contract.message import Message
from broker.contract.messages import ErrorCode, TaskError, decode_outcome
from fog_node.jobs.limits import DeviceLimits
from fog_node.rules.cause import MOST, PROPERTY, REMEMBERED, Told, cause_in
from fog_node.rules.rulebook import Rulebook
from fog_tasks.builtin import echo
from fog_tasks.declaration.task import task
from tests.support.centre import Centre
from tests.support.eventually import eventually

PLUG = {
    "name": "plug",
    "on": "tele/{plug}/SENSOR",
    "task": "echo",
    "result": "home/{plug}",
    "on_error": "bad/{plug}",
}
NEXT = {"name": "next", "on": "home/{plug}", "task": "echo", "result": "done/{plug}"}
FIRST = "tele/p1/SENSOR"


def node_with(path: Path, *rules: Mapping[str, Any], **how: Any) -> AbstractAsyncContextManager[Centre]:
    return Centre.opened(path / "journal.db", rules=rules, **how)


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Centre]:
    async with node_with(tmp_path, PLUG, NEXT) as made:
        yield made


async def stored(acknowledged: Any) -> None:
    assert isinstance(acknowledged, asyncio.Future)
    assert await asyncio.wait_for(acknowledged, 5) is None


async def test_a_message_is_acknowledged_when_all_that_it_starts_is_stored(tmp_path: Path) -> None:
    async with node_with(tmp_path, PLUG, {**PLUG, "name": "other"}) as node:
        node.holding = True
        await stored(node.submit(FIRST, b'{"message": 1}'))
        assert [(job.device, job.task, job.payload) for job in node.jobs] == [
            ("plug", "echo", b'{"message":1}'),
            ("other", "echo", b'{"message":1}'),
        ]
        assert [job.key for job in node.journal.open_jobs()] == [job.key for job in node.jobs]


async def test_what_cannot_be_stored_is_told_and_acknowledged(tmp_path: Path) -> None:
    async with node_with(tmp_path, PLUG) as node:
        node.break_writes("INSERT")
        bad = node.listen("bad/#")
        await stored(node.submit(FIRST))
        error = decode_outcome(bad[0].payload).error
        assert isinstance(error, TaskError)
        assert (error.code, len(node.jobs)) == (ErrorCode.OVERLOADED, 0)


async def test_a_message_that_a_rule_means_and_passes_over_is_acknowledged_at_once(tmp_path: Path) -> None:
    async with node_with(tmp_path, {**PLUG, "when": "on", "arguments": {}}) as node:
        assert node.submit(FIRST, b'{"on": false}') is None
        assert len(node.jobs) == 0


async def test_a_rules_task_is_limited_and_the_refusal_told_and_counted(tmp_path: Path) -> None:
    async with node_with(tmp_path, PLUG, limits=DeviceLimits(rate=1, burst=1, open=0)) as node:
        bad = node.listen("bad/#")
        await stored(node.submit(FIRST))
        assert node.submit(FIRST, b"[2]") is None
        error = decode_outcome(bad[0].payload).error
        assert isinstance(error, TaskError)
        assert error.code is ErrorCode.RATE_LIMITED
        (count,) = node.rulebook.counts()
        assert (count.matched, count.fired, dict(count.refused)) == (2, 1, {"rate-limited": 1})


async def test_a_rules_task_is_cancelled_by_its_device_and_id_and_stands_in_the_books(tmp_path: Path) -> None:
    async with node_with(tmp_path, {**PLUG, "id": "{plug}-{payload:seq}"}) as node:
        node.holding = True
        bad = node.listen("bad/p1")
        await stored(node.submit(FIRST, b'{"seq": 7}'))
        await node.submit("fog/cancel/plug/p1-7", b"")
        error = decode_outcome(bad[0].payload).error
        assert isinstance(error, TaskError)
        assert (error.code, len(node.jobs)) == (ErrorCode.CANCELLED, 0)
        books = node.books.latest(1)["plug"]
        assert (books.accepted, books.cancelled, books.open) == (1, 1, 0)


async def test_a_message_that_does_not_fit_is_told_and_counted_once(tmp_path: Path) -> None:
    async with node_with(tmp_path, PLUG) as node:
        bad = node.listen("bad/p1")
        assert node.submit(FIRST, b"{") is None
        assert decode_outcome(bad[0].payload).task == "echo"
        (count,) = node.rulebook.counts()
        assert (count.fired, dict(count.refused)) == (0, {"bad-payload": 1})
        assert node.books.report().rejected == 1


async def test_what_a_rule_that_is_gone_has_wanted_is_nobodys_fault(tmp_path: Path) -> None:
    async with node_with(tmp_path, PLUG) as node:
        heard = node.listen("#")
        node.rulebook.replace(Rulebook([], {}))
        assert node.submit(FIRST) is None
        assert [one.topic for one in heard] == [FIRST]


async def test_orders_are_no_rules_business(tmp_path: Path) -> None:
    async with node_with(tmp_path, {**PLUG, "on": "{a}/tasks/{plug}/#"}) as node:
        await stored(node.submit("fog/tasks/light/echo/me/1"))
        assert node.rulebook.counts()[0].matched == 0
        await eventually(lambda: len(node.heard) == 1)


async def test_a_device_that_numbers_its_messages_is_answered_once(tmp_path: Path) -> None:
    async with node_with(tmp_path, {**PLUG, "id": "{plug}-{payload:seq}"}) as node:
        told = node.listen("home/#")
        for _ in range(2):
            await stored(node.submit(FIRST, b'{"seq": 7}'))
            await eventually(lambda: len(told) == 1 and not len(node.jobs))
        await stored(node.submit(FIRST, b'{"seq": 8}'))
        await eventually(lambda: len(told) == 2)


async def test_an_outcome_can_say_that_it_is_told_again_and_so_is(tmp_path: Path) -> None:
    async with node_with(tmp_path, {**PLUG, "id": "{payload:seq}", "publish": "outcome"}) as node:
        told = node.listen("home/#")
        for _ in range(2):
            await stored(node.submit(FIRST, b'{"seq": 7}'))
            await eventually(lambda: told and not len(node.jobs))
        assert [decode_outcome(one.payload).repeated for one in told] == [False, True]


async def test_a_lost_answer_at_the_end_of_a_chain_is_told_again_to_who_asks_again(tmp_path: Path) -> None:
    first, then = {**PLUG, "id": "{payload:seq}"}, {**NEXT, "publish": "outcome", "on_error": "bad/{plug}"}
    async with node_with(tmp_path, first, then) as node:
        home, done = node.listen("home/#"), node.listen("done/#")
        for _ in range(2):
            await stored(node.submit(FIRST, b'{"seq": 7}'))
            await eventually(lambda: done and not len(node.jobs))
        assert [decode_outcome(one.payload).repeated for one in done] == [False, True]
        assert len(home) == 1


async def test_one_rules_result_starts_the_next_and_the_chain_is_counted(chain: Centre) -> None:
    done = chain.listen("done/#")
    await stored(chain.submit(FIRST))
    await eventually(lambda: len(done) == 1)
    assert (done[0].topic, done[0].payload) == ("done/p1", b"1")
    assert [one.fired for one in chain.rulebook.counts()] == [1, 1]


async def test_the_next_step_is_stored_before_the_last_is_forgotten_and_taken_once(tmp_path: Path) -> None:
    """An outcome that is sent again after a kill starts nothing that has been started."""
    async with node_with(tmp_path, PLUG, NEXT) as node:
        done = node.listen("done/#")
        await stored(node.submit(FIRST))
        await eventually(lambda: len(done) == 1)
    async with node_with(tmp_path, PLUG, NEXT) as node:
        home, done = node.listen("home/#"), node.listen("done/#")
        # Both outcomes are of the last words of the life before.
        assert node.endings.send_again() == 2
        assert (len(home), len(done)) == (1, 1)
        await node.acceptance.settle()
        assert len(node.jobs) == 0


async def test_a_step_that_was_not_taken_before_a_kill_is_taken_after_it(tmp_path: Path) -> None:
    async with node_with(tmp_path, PLUG) as node:
        home = node.listen("home/#")
        await stored(node.submit(FIRST))
        await eventually(lambda: len(home) == 1)
    async with node_with(tmp_path, PLUG, NEXT) as node:
        done = node.listen("done/#")
        node.endings.send_again()
        await eventually(lambda: len(done) == 1)


async def test_two_tasks_of_one_device_and_id_lead_to_two_steps(tmp_path: Path) -> None:
    async with node_with(tmp_path, {**NEXT, "on": "fog/results/{plug}/+", "on_error": "bad/{plug}"}) as node:
        done = node.listen("done/#")
        for payload in (b"[1]", b"[2]"):
            await stored(node.submit("fog/tasks/light/echo/me/1", payload))
        await eventually(lambda: len(done) == 2)


@task(roles=("operator",))
def guarded(value: int) -> int:
    """For operators."""
    return value


@pytest.mark.parametrize(("role", "runs"), [(Role.OPERATOR, True), (Role.DEVICE, False), (None, False)])
async def test_a_chain_runs_with_the_role_of_who_published(
    tmp_path: Path, role: Role | None, runs: bool
) -> None:
    first, then = {**PLUG, "arguments": {"message": 1}}, {**NEXT, "task": "guarded", "on_error": "bad/{plug}"}
    async with node_with(tmp_path, first, then, tasks=[echo, guarded]) as node:
        done, bad = node.listen("done/#"), node.listen("bad/#")
        await stored(node.submit(FIRST, b"1", role=role))
        await eventually(lambda: len(done) + len(bad) == 1)
        assert (len(done) == 1) is runs


async def test_the_clock_starts_a_rule_with_the_rights_of_who_wrote_it(tmp_path: Path) -> None:
    rule = {
        "name": "hourly",
        "on": "every 1h",
        "task": "guarded",
        "arguments": {"value": 1},
        "result": "done/x",
    }
    async with node_with(tmp_path, rule, tasks=[guarded]) as node:
        done = node.listen("done/#")
        for _ in range(2):
            node.firings.tick(node.rulebook.timed[0])
        await eventually(lambda: len(done) == 2)


@pytest.mark.parametrize("mqtt", [3, 5])
async def test_an_outcome_that_the_broker_hands_back_has_been_heard(tmp_path: Path, mqtt: int) -> None:
    """With MQTT 5 it tells whose it is, with 3.1.1 the node remembers it. Others' of the same text count."""
    async with node_with(tmp_path, PLUG, NEXT, echoes=True) as node:
        home, done = node.listen("home/#"), node.listen("done/#")
        await stored(node.submit(FIRST))
        await eventually(lambda: len(done) == 1)
        back = home[0] if mqtt == 5 else msgspec.structs.replace(home[0], user_properties=())
        assert node.engine.deliver(back) is None
        if mqtt == 5:
            # A broker may hand it back twice.
            assert node.engine.deliver(back) is None
        await stored(node.submit(back.topic, back.payload))
        await eventually(lambda: len(done) == 2)


async def test_a_rule_that_wants_what_was_retained_gets_a_result_of_this_node_too(tmp_path: Path) -> None:
    """A rule may be newer than the result; one that has heard it already does not take the step again."""
    async with node_with(tmp_path, {**PLUG, "retain": True}, {**NEXT, "retained": True}) as node:
        home, done = node.listen("home/#"), node.listen("done/#")
        await stored(node.submit(FIRST))
        await eventually(lambda: len(done) == 1 and not len(node.jobs))
        before = msgspec.structs.replace(home[0], replayed=True)
        await stored(node.dispatcher.receive(before))
        assert len(node.jobs) == 0
        await asyncio.wait_for(node.journal.forget(-1), 5)
        await stored(node.dispatcher.receive(before))
        await eventually(lambda: len(done) == 2)


async def test_gateways_that_share_what_they_hear_take_a_step_where_the_broker_says(tmp_path: Path) -> None:
    async with node_with(tmp_path, PLUG, NEXT, echoes=True, shares=True) as node:
        home, done = node.listen("home/#"), node.listen("done/#")
        await stored(node.submit(FIRST))
        await eventually(lambda: len(home) == 1)
        assert (len(node.jobs), done) == (0, [])
        node.holding = True
        for _ in range(2):
            await stored(node.engine.deliver(home[0]))
        (job,) = node.jobs
        assert job.answer is not None
        assert (job.answer.rule, job.answer.hops, job.user_properties) == ("next", 2, ())


@pytest.mark.parametrize("echoes", [False, True])
async def test_a_circle_ends_by_its_hops_and_is_told_once(tmp_path: Path, echoes: bool) -> None:
    """Another node's rules may be a part of it, which no start can see."""
    async with node_with(tmp_path, PLUG, echoes=echoes) as node:
        home = node.listen("home/#")
        with structlog.testing.capture_logs() as logs:
            for hops in (15, 16, 17):
                node.submit(FIRST, user_properties=((PROPERTY, f"{hops}.abc.fog-b"), ("mine", "1")))
                await node.acceptance.settle()
        await eventually(lambda: len(home) == 1)
        (count,) = node.rulebook.counts()
        assert (count.fired, dict(count.passed_over)) == (1, {"hops": 2})
        assert [one["event"] for one in logs].count("rules_in_a_circle") == 1
        # It tells the other node how far it has come, which has been told of this one before.
        (mine, (name, cause)) = home[0].user_properties
        assert (mine, name, cause.split(".")[::2]) == (("mine", "1"), PROPERTY, ["16", "fog-a"])


@pytest.mark.parametrize(
    "written", ["", "x", "1", ".", "1.a", "-1.a.n", "1.a/b.n", f"{10**9}.a.n", f"1.{'a' * 99}.n", "².a.n"]
)
def test_a_cause_that_nobody_wrote_so_counts_for_nothing(written: str) -> None:
    message, cause = cause_in(Message(topic="t", payload=b"", user_properties=((PROPERTY, written),)))
    assert (message.user_properties, cause) == ((), None)


def test_what_is_told_is_remembered_once_for_each_time_and_not_for_ever() -> None:
    told, message = Told(), Message(topic="home/p", payload=b"ON")
    told.remember(message, now=0.0)
    told.remember(message, now=1.0)
    assert not told.recall(Message(topic="home/p", payload=b"OFF"), now=1.0)
    assert [told.recall(message, now=2.0) for _ in range(3)] == [True, True, False]
    told.remember(message, now=10.0)
    assert not told.recall(message, now=10.0 + REMEMBERED)
    many = [Message(topic="many", payload=b"%d" % number) for number in range(2 * MOST)]
    for one in many:
        told.remember(one, now=50.0)
    assert [told.recall(one, now=50.0) for one in many] == [False] * MOST + [True] * MOST
