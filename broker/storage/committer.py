"""How a commit to an SQLite file is done; when it is done is decided elsewhere (group_commit.py)."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from broker.errors import StorageError
from broker.storage.write_buffer import Write

log = structlog.get_logger()

LONGEST_LOG = 8_000
"""Pages in the log (of 4 KiB) at which commits pause until it has been moved, and begin it anew.

SQLite restarts the log by itself only at a moment in which nobody writes, and that may never come.
"""

BUSY_TIMEOUT = 10.0
"""Seconds to wait for another process that writes to the same file."""


class Committer:
    """One SQLite file in WAL mode, with a connection each for reading, writing and moving the log.

    Used by one thread at a time, but for `move_log`, which has a thread of its own. `log_is_long` tells that
    the next commit has to be made by a thread, and followed by `begin_log_anew`.
    """

    def __init__(self, path: Path, schema: str, *, synchronous: str) -> None:
        """Open or create the file. Raises StorageError."""
        self._path = path
        self._synchronous = synchronous
        self._connections: list[sqlite3.Connection] = []
        self._written = self._moved = 0
        self.log_is_long = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # A reader of its own sees only what is committed. Moving the log waits for the disk, and holds up
            # neither of the others.
            self._reader, self._writer, self._mover = (self._connect() for _ in range(3))
            for connection in (self._reader, self._writer):
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._writer.executescript(schema)
            # From here on the event loop writes, which cannot wait.
            self._writer.execute("PRAGMA busy_timeout = 0")
            # One for all statements: the connection's own execute makes one each time.
            self._cursor = self._writer.cursor()
        except (OSError, sqlite3.Error) as fault:
            self.close()
            raise StorageError(f"{path} cannot be opened: {fault}") from fault

    def read(self, statement: str, values: Sequence[object]) -> sqlite3.Cursor:
        """Read what is committed. Raises StorageError."""
        try:
            return self._reader.execute(statement, values)
        except sqlite3.Error as fault:
            raise StorageError(f"{self._path} cannot be read: {fault}") from fault

    def try_run(self, batch: list[Write]) -> bool:
        """Run the statements of a commit without waiting for anybody; False where that cannot be done."""
        try:
            self._run(batch)
        except sqlite3.Error:
            self._roll_back()
            return False
        return True

    def commit(self, batch: list[Write], *, ran: bool) -> StorageError | None:
        """Commit, after running the statements unless they `ran`. Waits for the disk; returns what failed."""
        try:
            if not ran:
                with self._waiting():
                    self._run(batch)
            self._writer.execute("COMMIT")
            self._written += len(batch)
        except sqlite3.Error as fault:
            log.error("not_written", path=str(self._path), reason=str(fault), writes=len(batch))
            self._roll_back()
            return StorageError(f"{self._path} cannot be written: {fault}")
        return None

    def begin_log_anew(self) -> None:
        """Move the whole log into the file, so that the next commit begins a new one."""
        self.log_is_long = False
        try:
            with self._waiting():
                self._writer.execute("PRAGMA wal_checkpoint(RESTART)")
        except sqlite3.Error as fault:
            log.warning("log_not_moved", path=str(self._path), reason=str(fault))

    def move_log(self) -> None:
        """Move what is committed from the log into the file, as far as nobody is in the way."""
        written = self._written
        if written == self._moved:
            return
        self._moved = written
        try:
            _, pages, _ = self._mover.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as fault:
            log.warning("log_not_moved", path=str(self._path), reason=str(fault))
        else:
            self.log_is_long = pages > LONGEST_LOG

    def close(self) -> None:
        """Close the file, without a commit."""
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

    def _run(self, batch: list[Write]) -> None:
        execute = self._cursor.execute
        execute("BEGIN IMMEDIATE")
        for write in batch:
            execute(write.statement, write.values)

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        """Let the writer wait for whoever else has the file."""
        self._writer.execute(f"PRAGMA busy_timeout = {1e3 * BUSY_TIMEOUT:.0f}")
        try:
            yield
        finally:
            self._writer.execute("PRAGMA busy_timeout = 0")
