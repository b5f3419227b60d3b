"""What GroupCommit keeps, beside who else writes to its file, and for whom it keeps it."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.errors import StorageError
from broker.storage.group_commit import LOOP_BYTES, LOOP_SIZE, GroupCommit
from broker.storage.write_buffer import COMMIT_SIZE, ENOUGH

PUT = "INSERT INTO things VALUES (?, ?)"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[GroupCommit]:
    schema = "CREATE TABLE IF NOT EXISTS things (key INTEGER PRIMARY KEY, value BLOB)"
    async with GroupCommit.opened(path, schema, name="things") as file:
        yield file


def kept(path: Path) -> dict[int, bytes]:
    """What another process finds."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, value FROM things").fetchall())


@pytest.mark.parametrize("count", [1, LOOP_SIZE, LOOP_SIZE + 1, 2 * COMMIT_SIZE + 1])
async def test_what_is_told_as_durable_is_in_the_file(tmp_path: Path, count: int) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        await asyncio.gather(*(file.write(PUT, key, b"x") for key in range(count)))
        assert kept(path) == dict.fromkeys(range(count), b"x")


async def test_large_values_are_kept_between_small_ones_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    large = b"x" * (LOOP_BYTES + 1)
    async with opened(path) as file:
        file.write(PUT, 1, b"small")
        file.write("UPDATE things SET value = ? WHERE key = 1", large, size=len(large))
        await file.write("INSERT INTO things SELECT 2, value FROM things WHERE key = 1")
        assert kept(path) == {1: large, 2: large}


async def test_closing_keeps_what_nobody_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        for key in range(3 * LOOP_SIZE):
            file.write(PUT, key, b"")
    assert len(kept(path)) == 3 * LOOP_SIZE


async def test_another_writer_is_waited_for_without_holding_up_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        await file.write(PUT, 1, b"before")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = file.write(PUT, 2, b"ours")
            with pytest.raises(TimeoutError):
                # Only a loop that goes on can notice that this time has passed.
                await asyncio.wait_for(asyncio.shield(waiting), 0.2)
            assert file.read("SELECT value FROM things").fetchall() == [(b"before",)]
            other.execute("INSERT INTO things VALUES (3, x'')")
            other.execute("COMMIT")
        await asyncio.wait_for(waiting, 5.0)
        assert kept(path).keys() == {1, 2, 3}


async def test_a_commit_that_fails_keeps_nothing_and_does_not_stop_the_next(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        await file.write(PUT, 1, b"first")
        innocent, guilty = file.write(PUT, 2, b""), file.write(PUT, 1, b"again")
        for write in (innocent, guilty):
            with pytest.raises(StorageError, match="cannot be written"):
                await write
        await file.write(PUT, 3, b"next")
        assert kept(path) == {1: b"first", 3: b"next"}


async def test_a_writer_that_was_cancelled_costs_the_others_nothing(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        given_up, other = file.write(PUT, 1, b""), file.write(PUT, 2, b"")
        given_up.cancel()
        await other
        assert 2 in kept(path)


async def test_a_write_with_patience_waits_while_others_are_committed(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        patient = file.write(PUT, 1, b"patient", patience=60.0)
        await file.write(PUT, 2, b"urgent")
        assert not patient.done()
        assert kept(path) == {2: b"urgent"}


async def test_its_patience_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        await asyncio.wait_for(file.write(PUT, 1, b"patient", patience=0.02), 5.0)
        assert kept(path) == {1: b"patient"}


async def test_closing_does_not_wait_for_the_patient(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        patient = file.write(PUT, 1, b"patient", patience=60.0)
    assert patient.done()
    assert kept(path) == {1: b"patient"}


async def test_many_with_patience_do_not_wait_for_more(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        writes = [file.write(PUT, key, b"x", patience=60.0) for key in range(ENOUGH)]
        await asyncio.wait_for(asyncio.gather(*writes), 5.0)
        assert kept(path) == dict.fromkeys(range(ENOUGH), b"x")


async def test_what_waits_can_be_amended_and_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "things.db"
    async with opened(path) as file:
        first = file.write(PUT, 1, b"first", patience=60.0, name="one")
        assert file.waiting("one") == (1, b"first")
        assert file.amend("one", (1, b"second")) is first
        await asyncio.wait_for(first, 5.0)
        assert file.waiting("one") is None
        assert kept(path) == {1: b"second"}


@pytest.mark.parametrize("limit", [0.0, 60.0])
async def test_commits_are_kept_whether_the_loop_or_the_thread_waits_for_the_disk(
    tmp_path: Path, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no patience for the disk every commit after the first is the thread's, with a minute's none is."""
    monkeypatch.setattr("broker.storage.group_commit.QUICK_COMMIT", limit)
    path = tmp_path / "things.db"
    async with opened(path) as file:
        for key in range(20):
            await file.write(PUT, key, b"x")
            assert key in kept(path)
