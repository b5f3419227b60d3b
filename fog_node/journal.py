"""The journal: every accepted task and every outcome, in SQLite, committed before anyone is told.

A job is a row from its acceptance on; its outcome is written into the same row when it ends, and the
row is deleted when it need not be remembered any longer:

    (unknown) --accept--> open --finish--> ended --forget--> (unknown)

One thread writes. What arrives while it commits goes into its next commit, so that the cost of a
commit is shared by all devices that wait for one.
"""

import asyncio
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from broker.topics import Weight
from fog_node.errors import JournalError
from fog_node.job import End, Job

log = structlog.get_logger()

_COMMIT_SIZE = 2_000
"""Writes in one commit at most: bounds how long the first of them waits for the last."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL,
    device TEXT NOT NULL,
    id TEXT NOT NULL,
    weight TEXT NOT NULL,
    task TEXT NOT NULL,
    payload BLOB NOT NULL,
    reply TEXT NOT NULL,
    correlation BLOB,
    route TEXT NOT NULL,
    max_hops INTEGER,
    accepted_at REAL NOT NULL,
    deadline_at REAL,
    ended_at REAL,
    end TEXT,
    outcome BLOB,
    UNIQUE (origin, device, id)
);
CREATE INDEX IF NOT EXISTS jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (key) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_ACCEPT = (
    "INSERT INTO jobs (key, origin, device, id, weight, task, payload, reply, correlation, route, max_hops,"
    " accepted_at, deadline_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
_FINISH = (
    "UPDATE jobs SET ended_at = ?, end = ?, outcome = ?, payload = x'' WHERE key = ? AND ended_at IS NULL"
)
_FORGET = "DELETE FROM jobs WHERE ended_at < ?"
_FIND = "SELECT end, outcome FROM jobs WHERE origin = ? AND device = ? AND id = ? AND ended_at IS NOT NULL"
_OPEN = (
    "SELECT key, origin, device, id, weight, task, payload, reply, correlation, route, max_hops,"
    " accepted_at, deadline_at FROM jobs WHERE ended_at IS NULL ORDER BY key"
)


@dataclass(frozen=True, slots=True)
class Remembered:
    """An ended job: how it ended and the outcome its device was sent."""

    end: End
    outcome: bytes


@dataclass(frozen=True, slots=True)
class _Write:
    statement: str
    values: tuple[object, ...]
    done: asyncio.Future[None]


class Journal:
    """A node's journal in one SQLite file.

    `synchronous` is SQLite's: full survives a power loss, normal and off survive any crash of the
    process. `wall` and `monotonic` are the clocks: the file keeps wall time, jobs keep monotonic.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str = "full",
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._synchronous = synchronous
        self._wall, self._monotonic = wall, monotonic
        # Bounded by the node: it has at most two writes under way for each job it holds open.
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._connections: list[sqlite3.Connection] = []
        self.life = ""

    def open(self) -> None:
        """Open or create the file and start its writer. Call on the event loop. Raises JournalError."""
        self._loop = asyncio.get_running_loop()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._reader = self._connect()
            self._writer = self._connect()
            self._writer.executescript(_SCHEMA)
            self._writer.execute("INSERT OR IGNORE INTO about VALUES ('life', ?)", (secrets.token_hex(4),))
            # Tells this file's keys from those of a file that was here before it, or is elsewhere.
            self.life = self._reader.execute("SELECT value FROM about WHERE name = 'life'").fetchone()[0]
            # The highest key ever, also of jobs that are forgotten: other nodes may still speak of them.
            row = self._reader.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
            self._next_key = 1 if row is None else row[0] + 1
        except (OSError, sqlite3.Error) as fault:
            self._disconnect()
            raise JournalError(f"the journal {self._path} cannot be opened: {fault}") from fault
        self._thread.start()

    def next_key(self) -> int:
        """A number that no job of this journal has or had."""
        key: int = self._next_key
        self._next_key += 1
        return key

    def accept(self, job: Job) -> asyncio.Future[None]:
        """Write a new job; the future is done once it is durable, or fails with JournalError."""
        now_wall, now = self._wall(), self._monotonic()
        return self._write(
            _ACCEPT,
            job.key,
            job.origin,
            job.device,
            job.id,
            job.weight,
            job.task,
            job.payload,
            job.reply,
            job.correlation,
            msgspec.json.encode(job.route).decode(),
            job.max_hops,
            now_wall + job.received - now,
            None if job.deadline is None else now_wall + job.deadline - now,
        )

    def finish(self, job: Job, end: End, outcome: bytes) -> asyncio.Future[None]:
        """Write how a job ended; the future is done once it is durable, or fails with JournalError."""
        return self._write(_FINISH, self._wall(), end, outcome, job.key)

    def forget(self, age: float) -> asyncio.Future[None]:
        """Delete the jobs that ended more than `age` seconds ago."""
        return self._write(_FORGET, self._wall() - age)

    def find(self, identity: tuple[str, str, str]) -> Remembered | None:
        """Look an ended job up by its origin, device and id."""
        row = self._reader.execute(_FIND, identity).fetchone()
        return None if row is None else Remembered(End(row[0]), row[1])

    def open_jobs(self) -> Iterator[Job]:
        """The jobs without an outcome, in the order of their acceptance."""
        now_wall, now = self._wall(), self._monotonic()
        for row in self._reader.execute(_OPEN):
            yield Job(
                key=row[0],
                origin=row[1],
                device=row[2],
                id=row[3],
                weight=Weight(row[4]),
                task=row[5],
                payload=row[6],
                reply=row[7],
                correlation=row[8],
                route=tuple(msgspec.json.decode(row[9])),
                max_hops=row[10],
                received=now + row[11] - now_wall,
                deadline=None if row[12] is None else now + row[12] - now_wall,
            )

    async def close(self) -> None:
        """Commit what was written and close the file. A second call does nothing."""
        if not self._thread.is_alive():
            return
        self._writes.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._disconnect()

    def _disconnect(self) -> None:
        while self._connections:
            self._connections.pop().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
        self._connections.append(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        return connection

    def _write(self, statement: str, *values: object) -> asyncio.Future[None]:
        done: asyncio.Future[None] = self._loop.create_future()
        self._writes.put(_Write(statement, values, done))
        return done

    def _write_all(self) -> None:
        last = False
        while not last:
            batch, last = self._next_batch()
            fault = self._commit(batch)
            if batch:
                self._loop.call_soon_threadsafe(_resolve, batch, fault)

    def _next_batch(self) -> tuple[list[_Write], bool]:
        batch: list[_Write] = []
        write = self._writes.get()
        while write is not None:
            batch.append(write)
            if len(batch) == _COMMIT_SIZE:
                return batch, False
            try:
                write = self._writes.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Write]) -> JournalError | None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for write in batch:
                self._writer.execute(write.statement, write.values)
            self._writer.execute("COMMIT")
        except sqlite3.Error as fault:
            log.error("journal_not_written", path=str(self._path), reason=str(fault), writes=len(batch))
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return JournalError(f"the journal {self._path} cannot be written: {fault}")
        return None


def _resolve(batch: list[_Write], fault: JournalError | None) -> None:
    for write in batch:
        if write.done.done():
            continue
        if fault is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(fault)
