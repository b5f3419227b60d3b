"""What the journal keeps over the lives of a node."""

import asyncio
import contextlib
import math
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.contract.topics import Weight
from broker.errors import StorageError
from fog_node.jobs.answer import Answer
from fog_node.jobs.job import End, Job
from fog_node.jobs.refusal import Sender, sender_of
from fog_node.journal.journal import LAST_WORDS, Journal, Remembered
from tests.support import jobs

YEAR = 365 * 24 * 3600.0


class Clock:
    """Wall and monotonic time, a thousand seconds apart until the wall clock jumps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ahead = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.ahead


@asynccontextmanager
async def opened(path: Path, clock: Clock | None = None) -> AsyncIterator[Journal]:
    clock = clock or Clock()
    async with Journal.opened(path, wall=clock.wall, monotonic=clock.monotonic) as journal:
        yield journal


def job(journal: Journal, name: str = "1", **changes: object) -> Job:
    """A job of this journal, received at 100, whose payload is no text."""
    given: dict[str, Any] = {"id": name, "weight": Weight.LIGHT, "payload": b"[1,\xff]", "received": 100.0}
    given["fingerprint"] = b"some"
    return jobs.job(journal.next_key(), **(given | changes))


async def test_an_accepted_job_is_open_in_the_next_life(tmp_path: Path) -> None:
    async with opened(tmp_path / "j.db") as journal:
        sent = job(
            journal,
            route=("a", "b"),
            deadline=105.0,
            correlation=b"\0c",
            user_properties=(("b", "ä\n"), ("a", ""), ("b", "2")),
            max_hops=2,
            origin="n",
        )
        await journal.accept(sent)
    async with opened(tmp_path / "j.db") as journal:
        assert list(journal.open_jobs()) == [sent]


async def test_deadlines_go_on_while_the_node_is_away(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path / "j.db", clock) as journal:
        await journal.accept(job(journal, deadline=105.0))
    clock.now += 3.0
    async with opened(tmp_path / "j.db", clock) as journal:
        (found,) = journal.open_jobs()
        assert found.remaining(clock.now) == pytest.approx(2.0)


async def test_an_ended_job_is_remembered_and_not_open(tmp_path: Path) -> None:
    async with opened(tmp_path / "j.db") as journal:
        one = job(journal)
        await journal.accept(one)
        assert journal.find(one) is None
        await journal.finish(one, End.DONE, b'{"ok":true}')
    async with opened(tmp_path / "j.db") as journal:
        assert journal.find(one) == Remembered(End.DONE, b'{"ok":true}')
        assert list(journal.open_jobs()) == []


async def test_the_first_outcome_stays(tmp_path: Path) -> None:
    async with opened(tmp_path / "j.db") as journal:
        one = job(journal)
        await journal.accept(one)
        await journal.finish(one, End.DONE, b"first")
        await journal.finish(one, End.FAILED, b"second")
        assert journal.find(one) == Remembered(End.DONE, b"first")


async def test_a_job_that_ends_before_its_acceptance_is_committed_is_written_once(tmp_path: Path) -> None:
    """Both are durable at the same moment, and nothing is kept of its arguments."""
    path = tmp_path / "j.db"
    async with opened(path) as journal:
        one = job(journal, payload=b"x" * 100)
        accepted = journal.accept(one, patience=60.0)
        assert journal.finish(one, End.DONE, b"value") is accepted
        await asyncio.wait_for(accepted, 5.0)
        assert journal.find(one) == Remembered(End.DONE, b"value")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key, payload FROM jobs").fetchall() == [(one.key, b"")]
    async with opened(path) as journal:
        assert list(journal.open_jobs()) == []


async def test_an_acceptance_waits_no_longer_than_its_patience(tmp_path: Path) -> None:
    async with opened(tmp_path / "j.db") as journal:
        one = job(journal)
        await asyncio.wait_for(journal.accept(one, patience=0.02), 5.0)
        assert list(journal.open_jobs()) == [one]
        await journal.finish(one, End.DONE, b"value")
        assert journal.find(one) == Remembered(End.DONE, b"value")


async def test_a_dead_letter_has_its_arguments_though_the_job_was_written_once(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    async with opened(path) as journal:
        one = job(journal)
        journal.accept(one, patience=60.0)
        buried = journal.keep_dead(one, "it killed its worker")
        await asyncio.gather(buried, journal.finish(one, End.FAILED, b"outcome"))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key, payload FROM dead").fetchall() == [(one.key, one.payload)]


async def test_outcomes_are_forgotten_by_age(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path / "j.db", clock) as journal:
        old, young, open_one = job(journal, "old"), job(journal, "young"), job(journal, "open")
        for one in (old, young, open_one):
            await journal.accept(one)
        await journal.finish(old, End.DONE, b"")
        clock.now += 60
        await journal.finish(young, End.DONE, b"")
        await journal.forget(59)
        assert journal.find(old) is None
        assert journal.find(young) is not None
        assert [one.id for one in journal.open_jobs()] == ["open"]


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
async def test_a_clock_that_jumps_moves_no_promise(tmp_path: Path, jump: float) -> None:
    """Neither while the node runs nor between two lives, forward or back."""
    clock = Clock()
    async with opened(tmp_path / "j.db", clock) as journal:
        ended, waiting = job(journal, "ended"), job(journal, "waiting", deadline=200.0)
        await asyncio.gather(journal.accept(ended), journal.accept(waiting))
        await journal.finish(ended, End.DONE, b"")
        clock.ahead += jump
        clock.now += 50.0
        await journal.forget(59)
        assert journal.find(ended) is not None
    clock.ahead += jump
    async with opened(tmp_path / "j.db", clock) as journal:
        assert list(journal.open_jobs()) == [waiting]
        await journal.forget(59)
        assert journal.find(ended) is not None
        clock.now += 10.0
        await journal.forget(59)
        assert journal.find(ended) is None


async def test_what_was_stored_by_a_clock_that_was_ahead_counts_as_stored_now(tmp_path: Path) -> None:
    """A deadline keeps its distance, and an outcome is not remembered for a year."""
    clock = Clock()
    async with opened(tmp_path / "j.db", clock) as journal:
        ended, waiting = job(journal, "ended"), job(journal, "waiting", deadline=160.0)
        await asyncio.gather(journal.accept(ended), journal.accept(waiting))
        await journal.finish(ended, End.DONE, b"")
    with contextlib.closing(sqlite3.connect(tmp_path / "j.db")) as connection, connection:
        for column in ("accepted_at", "deadline_at", "ended_at"):
            connection.execute(f"UPDATE jobs SET {column} = {column} + {YEAR}")
    clock.now += 7.0
    async with opened(tmp_path / "j.db", clock) as journal:
        (found,) = journal.open_jobs()
        assert (found.received, found.deadline) == pytest.approx((107.0, 167.0))
        clock.now += 60.0
        await journal.forget(59)
        assert journal.find(ended) is None


async def test_keys_are_never_given_twice(tmp_path: Path) -> None:
    """Not even after the jobs that had them are forgotten: other nodes may still speak of them."""
    clock = Clock()
    async with opened(tmp_path / "j.db", clock) as journal:
        one = job(journal)
        await journal.accept(one)
        await journal.finish(one, End.DONE, b"")
        clock.now += 1
        await journal.forget(0)
        life = journal.life
    async with opened(tmp_path / "j.db") as journal:
        assert journal.next_key() > one.key
        assert journal.life == life
    async with opened(tmp_path / "other.db") as journal:
        assert journal.life != life
    async with Journal.opened(tmp_path / "j.db", copied=True) as journal:
        assert journal.life != life


async def test_many_accepts_share_commits(tmp_path: Path) -> None:
    async with opened(tmp_path / "j.db") as journal:
        await asyncio.gather(*(journal.accept(job(journal, str(n))) for n in range(5000)))
        assert sum(1 for _ in journal.open_jobs()) == 5000


async def test_a_failed_write_is_told_to_all_who_wait_for_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "j.db") as journal:
        one = job(journal)
        await journal.accept(one)
        with pytest.raises(StorageError, match="cannot be written"):
            await journal.accept(job(journal, one.id))
        await journal.accept(job(journal, "2"))


async def test_a_file_that_is_no_journal_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(b"not a database, but long enough to be read as the header of one" * 20)
    with pytest.raises(StorageError, match="cannot be opened"):
        async with Journal.opened(path):
            pass


async def test_the_first_outcome_stays_also_while_it_waits_to_be_written(tmp_path: Path) -> None:
    async with opened(tmp_path / "j.db") as journal:
        one = job(journal)
        journal.accept(one, patience=60.0)
        first, second = journal.finish(one, End.DONE, b"first"), journal.finish(one, End.FAILED, b"second")
        await asyncio.gather(first, second)
        assert journal.find(one) == Remembered(End.DONE, b"first")


async def test_what_could_not_be_forgotten_is_still_found(tmp_path: Path) -> None:
    path, clock = tmp_path / "j.db", Clock()
    async with opened(path, clock) as journal:
        one = job(journal)
        await journal.accept(one)
        await journal.finish(one, End.DONE, b"value")
        clock.now += 60
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TRIGGER keep BEFORE DELETE ON jobs BEGIN SELECT RAISE(ABORT, 'kept'); END")
        for _ in range(3):
            with pytest.raises(StorageError, match="kept"):
                await journal.forget(1)
        assert journal.find(one) == Remembered(End.DONE, b"value")


async def test_what_a_life_may_not_have_sent_is_known_to_the_next(tmp_path: Path) -> None:
    """It has died, or noted since when it could not send; after an end in order there is nothing."""
    clock = Clock()

    async def ended(journal: Journal, name: str) -> Sender:
        one = job(
            journal,
            name,
            reply="fog/results/me/1",
            correlation=b"c",
            user_properties=(("a", name), ("a", "")),
            answer=Answer(rule=name, result="home/a"),
        )
        await journal.accept(one)
        await journal.finish(one, End.DONE, name.encode())
        return sender_of(one)

    def unsent(journal: Journal) -> list[bytes]:
        return [outcome for _, outcome in journal.unsent()]

    async with opened(tmp_path / "j.db", clock) as journal:
        assert unsent(journal) == []
        await ended(journal, "long sent")
        clock.now += 10
        one = await ended(journal, "one")
        clock.now += LAST_WORDS / 2
        await ended(journal, "two")
    clock.now += 1000
    async with opened(tmp_path / "j.db", clock) as journal:
        assert unsent(journal) == [b"one", b"two"]
        (sender, _), _ = journal.unsent()
        assert sender == one
        # It could not send these two before it died, too.
        clock.now += 1000
        await ended(journal, "three")
    async with opened(tmp_path / "j.db", clock) as journal:
        assert unsent(journal) == [b"one", b"two", b"three"]
        await journal.note_unsent(None)
        await journal.note_unsent(math.inf)
    async with opened(tmp_path / "j.db", clock) as journal:
        assert unsent(journal) == []
        clock.now += 10
        await ended(journal, "four")
    async with opened(tmp_path / "j.db", clock) as journal:
        assert unsent(journal) == [b"four"]
