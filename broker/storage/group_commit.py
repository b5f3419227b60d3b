"""Writes to an SQLite file, many writes to a commit.

What arrives during a commit goes into the next one, so that the cost of a commit, which is the disk's, is
shared by all who wait for one. A write may say for how long it can wait. Until its commit begins,
`amend` can give it other values, which saves a second write.

The statements run on the event loop: each takes microseconds, and in a thread would take ten times that while
the loop is busy, since after every one of them the thread would have to get hold of the interpreter again.
The commit waits for the disk: the loop does so itself where it has little else to do and the disk is quick,
else a thread does. Another moves what is committed from the log into the file: that takes longer still, and a
commit need not wait for it.
"""

import asyncio
import contextlib
import math
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Hashable
from pathlib import Path
from typing import Any, Self

from broker.errors import StorageError
from broker.pace import Pacer
from broker.storage.committer import Committer
from broker.storage.disk_breaker import DiskBreaker
from broker.storage.write_buffer import Write, WriteBuffer

LOOP_SIZE = 200
"""Writes of one commit, at most, whose statements run on the event loop: a millisecond of its time."""

LOOP_BYTES = 64 * 1024
"""Bytes in them, at most. Larger commits are left to the thread."""

COMMIT_INTERVAL = 0.001
"""Seconds between two commits while much is written."""

BUSY = 3
"""More writes than this within COMMIT_INTERVAL are much. One task after the other makes up to two."""

QUICK_COMMIT = 0.001
"""Seconds of a commit from which on the disk is too slow for the loop to wait for it.

Handing a commit to the thread and back takes a tenth of a millisecond, and several where the loop is busy.
"""

THREAD_SPELLS = (1.0, 64.0)
"""Seconds for which commits are left to the thread after one that was not quick: at first, and at most."""

CHECKPOINT_INTERVAL = 0.2
"""Seconds between two looks at whether the log has to be moved into the file."""


class GroupCommit:
    """One SQLite file: read on the event loop, written in the order in which writes are due.

    The number of writes under way has no bound here; whoever writes has one.
    """

    def __init__(self, committer: Committer, *, name: str) -> None:
        self._committer = committer
        self._loop = asyncio.get_running_loop()
        self._gathered = WriteBuffer()
        self._planned = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._under_way = False
        self._pacer = Pacer(COMMIT_INTERVAL, BUSY)
        self._disk = DiskBreaker(QUICK_COMMIT, THREAD_SPELLS)
        self._batches: queue.SimpleQueue[tuple[list[Write], bool] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._commit_all, name=name, daemon=True),
            threading.Thread(target=self._move_all, name=f"{name} log", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls, path: Path, schema: str, *, name: str, synchronous: str = "full"
    ) -> AsyncIterator[Self]:
        """Open or create a file, and close it when all that was written is committed. Raises StorageError.

        `synchronous` is SQLite's: full survives a power loss, normal and off any crash of the process.
        """
        group = cls(Committer(path, schema, synchronous=synchronous), name=name)
        try:
            yield group
        finally:
            await group._close()

    def read(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Read what is committed. Raises StorageError."""
        return self._committer.read(statement, values)

    def write(
        self,
        statement: str,
        *values: object,
        size: int = 0,
        patience: float = 0.0,
        name: Hashable | None = None,
    ) -> asyncio.Future[None]:
        """Write; the future is done once it is durable, or fails with StorageError.

        `size` is how many bytes there are in the values, where that may be many. `patience` is for how many
        seconds this may wait until its commit begins; `name` is for `amend` meanwhile.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        now = time.monotonic()
        write = Write(statement, values, size, now + patience, done)
        self._plan(self._gathered.put(done if name is None else name, write), now)
        return done

    def waiting(self, name: Hashable) -> tuple[object, ...] | None:
        """The values of the write of that name; None once its commit has begun."""
        write = self._gathered.get(name)
        return None if write is None else write.values

    def amend(self, name: Hashable, values: tuple[object, ...], *, size: int = 0) -> asyncio.Future[None]:
        """Give the write of that name, which waits, other values. It is due now; its future is returned."""
        earlier = self._gathered.get(name)
        assert earlier is not None
        now = time.monotonic()
        self._plan(self._gathered.put(name, Write(earlier.statement, values, size, now, earlier.done)), now)
        return earlier.done

    async def _close(self) -> None:
        self._gathered.closing = True
        with contextlib.suppress(StorageError):
            await self.write("SELECT 1")
        # Behind all commits in the queue: the thread ends after them.
        self._batches.put(None)
        self._closing.set()
        await self._loop.run_in_executor(None, self._join)
        self._committer.close()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _plan(self, due: float, now: float) -> None:
        """See that a commit begins at that moment, or as soon after it as one may."""
        begin = max(due, now + self._pacer.rest(now))
        if self._under_way or begin >= self._planned:
            return
        self._planned = begin
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if begin > now:
            self._timer = self._loop.call_later(begin - now, self._begin)
        else:
            # Two turns of the loop on: what else has come with this is taken along, and what it has to tell
            # others, a task to the workers above all, is on its way first.
            self._loop.call_soon(self._loop.call_soon, self._begin)

    def _begin(self) -> None:
        now = time.monotonic()
        self._planned, self._timer, self._under_way = math.inf, None, True
        batch = self._gathered.take(now)
        self._pacer.begin(len(batch), now)
        # On the loop while that is quick, since the way to the thread and back is longer than a small commit.
        small = len(batch) <= LOOP_SIZE and sum(write.size for write in batch) <= LOOP_BYTES
        ran = small and self._committer.try_run(batch)
        if not ran or self._committer.log_is_long or self._pacer.busy(now) or not self._disk.may_wait(now):
            self._batches.put((batch, ran))
            return
        began = time.monotonic()
        fault = self._committer.commit(batch, ran=True)
        ended = time.monotonic()
        self._disk.waited(ended - began, ended)
        self._end(batch, fault)

    def _end(self, batch: list[Write], fault: StorageError | None) -> None:
        self._under_way = False
        for write in batch:
            # Cancelled by whoever waited; the row is written all the same.
            if write.done.done():
                continue
            if fault is None:
                write.done.set_result(None)
            else:
                write.done.set_exception(fault)
        self._plan(self._gathered.due(), time.monotonic())

    def _commit_all(self) -> None:
        while (order := self._batches.get()) is not None:
            batch, ran = order
            fault = self._committer.commit(batch, ran=ran)
            if self._committer.log_is_long:
                self._committer.begin_log_anew()
            self._loop.call_soon_threadsafe(self._end, batch, fault)

    def _move_all(self) -> None:
        while not self._closing.wait(CHECKPOINT_INTERVAL):
            self._committer.move_log()


def one(cursor: sqlite3.Cursor) -> Any:
    """The only value of the only row, or None without a row."""
    row = cursor.fetchone()
    return None if row is None else row[0]
