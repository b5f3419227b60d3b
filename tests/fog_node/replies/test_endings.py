"""The ends of jobs: written, then sent, also where the journal cannot write at first."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.contract.messages import Books, ErrorCode, Outcome, TaskError
from fog_node.jobs.job import End, Job
from tests.support.centre import Centre
from tests.support.jobs import job

VALUE = Outcome(ok=True, id="1", node="fog-a", route=("fog-a",))
FAULT = Outcome(ok=False, id="1", node="fog-a", route=("fog-a",), error=TaskError(ErrorCode.EXPIRED, "late"))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Centre]:
    async with Centre.opened(tmp_path / "journal.db") as made:
        yield made


async def open_job(node: Centre) -> Job:
    """A job that was taken on and stored."""
    one = job(node.journal.next_key())
    node.jobs.add(one)
    await node.journal.accept(one)
    return one


@pytest.mark.parametrize(("outcome", "end"), [(VALUE, End.DONE), (FAULT, End.EXPIRED)])
async def test_an_outcome_is_durable_before_it_is_sent(node: Centre, outcome: Outcome, end: End) -> None:
    one = await open_job(node)
    durable = node.endings.end(one, outcome)
    assert node.heard == []
    assert one.ended
    await asyncio.wait_for(durable, 5)
    remembered = node.journal.find(one)
    assert remembered is not None
    assert (remembered.end, remembered.outcome) == (end, node.heard[0].payload)
    assert one not in node.jobs


async def test_an_outcome_that_cannot_be_written_is_kept_until_it_can_be(node: Centre) -> None:
    one = await open_job(node)
    node.break_writes("UPDATE")
    durable = node.endings.end(one, VALUE)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(durable), 0.1)
    assert (node.heard, one in node.jobs) == ([], True)
    node.mend_writes()
    await asyncio.wait_for(durable, 10)
    assert node.outcomes == [VALUE]


async def test_the_outcome_of_a_job_that_was_withdrawn_meanwhile_is_not_sent(node: Centre) -> None:
    one = await open_job(node)
    durable = node.endings.end(one, VALUE)
    node.jobs.withdraw(one)
    await asyncio.wait_for(durable, 5)
    assert node.heard == []
    assert node.books.report() == Books(accepted=1, rejected=1)


async def test_the_node_settles_when_every_known_outcome_is_on_its_way(node: Centre) -> None:
    await asyncio.wait_for(node.endings.settle(), 5)
    jobs = [await open_job(node) for _ in range(5)]
    for one in jobs:
        node.endings.end(one, VALUE)
    await asyncio.wait_for(node.endings.settle(), 5)
    assert len(node.heard) == 5


async def test_a_dead_letter_that_cannot_be_kept_does_not_stop_the_node(node: Centre) -> None:
    one = await open_job(node)
    with contextlib.closing(sqlite3.connect(node.path)) as other:
        other.execute("DROP TABLE dead")
    node.endings.keep_dead(one, "it killed its workers")
    await asyncio.wait_for(node.endings.end(one, FAULT), 10)
    assert node.outcomes == [FAULT]
