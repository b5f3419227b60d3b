"""Writes to an SQLite file from one thread, many writes to a commit.

What arrives while it commits goes into the next commit, so that the cost of a commit, which is the
disk's, is shared by all who wait for one. A second thread moves what is committed from the log into the
file: that takes many times as long, and a commit need not wait for it.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog

from broker.errors import StorageError
from broker.pace import Pace

log = structlog.get_logger()

COMMIT_SIZE = 2_000
"""Writes at which a commit is full: bounds how long the first of them waits for the last."""

COMMIT_INTERVAL = 0.002
"""Seconds between two commits while much is written."""

BUSY = 8
"""Writes within that time that are much: one task after the other makes four."""

CHECKPOINT_INTERVAL = 0.2
"""Seconds between two looks at whether the log has to be moved into the file."""

LONGEST_LOG = 8_000
"""Pages in the log (of 4 KiB) at which commits pause until it has been moved, and begin it anew.

It can begin anew by itself only in a moment in which nothing is written.
"""

BUSY_TIMEOUT = 10.0
"""Seconds to wait for another process that writes to the same file."""


class _Write(msgspec.Struct, frozen=True):
    statement: str
    values: tuple[object, ...]
    done: asyncio.Future[None]


class GroupCommit:
    """One SQLite file in WAL mode: reads on the event loop, writes in a thread, in the order they come.

    `synchronous` is SQLite's: full survives a power loss, normal and off survive any crash of the
    process. The number of writes under way has no bound here; whoever writes has one.
    """

    def __init__(self, path: Path, *, name: str, synchronous: str = "full") -> None:
        self._path = path
        self._synchronous = synchronous
        self._gathered: list[_Write] = []
        self._writes: queue.SimpleQueue[list[_Write] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name=name, daemon=True)
        self._checkpoints = threading.Thread(target=self._checkpoint_all, name=f"{name} log", daemon=True)
        self._closing = threading.Event()
        self._log_is_long = False
        self._written = 0
        self._connections: list[sqlite3.Connection] = []

    def open(self, schema: str) -> None:
        """Open or create the file and start the thread. Call on the event loop. Raises StorageError."""
        self._loop = asyncio.get_running_loop()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._reader = self._connect()
            self._writer = self._connect()
            self._mover = self._connect()
            for connection in (self._reader, self._writer):
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._writer.executescript(schema)
        except (OSError, sqlite3.Error) as fault:
            self._disconnect()
            raise StorageError(f"{self._path} cannot be opened: {fault}") from fault
        self._thread.start()
        self._checkpoints.start()

    def read(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Read what is committed. Raises StorageError."""
        try:
            return self._reader.execute(statement, values)
        except sqlite3.Error as fault:
            raise StorageError(f"{self._path} cannot be read: {fault}") from fault

    def write(self, statement: str, *values: object) -> asyncio.Future[None]:
        """Write; the future is done once it is durable, or fails with StorageError."""
        done: asyncio.Future[None] = self._loop.create_future()
        if not self._gathered:
            # The thread is woken once for all that comes in one turn of the loop, and after what
            # else is due in it: both want the interpreter, and a commit is never the first to be missed.
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Write(statement, values, done))
        return done

    async def close(self) -> None:
        """Commit what was written and close the file. A second call does nothing."""
        if not self._thread.is_alive():
            return
        self._hand_over()
        self._writes.put(None)
        self._closing.set()
        await self._loop.run_in_executor(None, self._join)
        self._disconnect()

    def _join(self) -> None:
        self._thread.join()
        self._checkpoints.join()

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._writes.put(gathered)

    def _disconnect(self) -> None:
        while self._connections:
            self._connections.pop().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT
        )
        self._connections.append(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        return connection

    def _write_all(self) -> None:
        last = False
        pace = Pace(COMMIT_INTERVAL, BUSY)
        while not last:
            first = self._writes.get()
            time.sleep(pace.rest(time.monotonic()))
            batch, last = self._gather(first)
            pace.begin(len(batch), time.monotonic())
            fault = self._commit(batch)
            if batch:
                self._loop.call_soon_threadsafe(_resolve, batch, fault)

    def _checkpoint_all(self) -> None:
        moved = 0
        while not self._closing.wait(CHECKPOINT_INTERVAL):
            written = self._written
            if written == moved:
                continue
            moved = written
            try:
                _, pages, _ = self._mover.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as fault:
                log.warning("log_not_moved", path=str(self._path), reason=str(fault))
            else:
                self._log_is_long = pages > LONGEST_LOG

    def _gather(self, gathered: list[_Write] | None) -> tuple[list[_Write], bool]:
        batch: list[_Write] = []
        while gathered is not None:
            batch += gathered
            if len(batch) >= COMMIT_SIZE:
                return batch, False
            try:
                gathered = self._writes.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Write]) -> StorageError | None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for write in batch:
                self._writer.execute(write.statement, write.values)
            self._writer.execute("COMMIT")
            self._written += len(batch)
            if self._log_is_long:
                self._log_is_long = False
                self._writer.execute("PRAGMA wal_checkpoint(RESTART)")
        except sqlite3.Error as fault:
            log.error("not_written", path=str(self._path), reason=str(fault), writes=len(batch))
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return StorageError(f"{self._path} cannot be written: {fault}")
        return None


def _resolve(batch: list[_Write], fault: StorageError | None) -> None:
    for write in batch:
        if write.done.done():
            continue
        if fault is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(fault)


def one(cursor: sqlite3.Cursor) -> Any:
    """The only value of the only row, or None without a row."""
    row = cursor.fetchone()
    return None if row is None else row[0]
