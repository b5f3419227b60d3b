"""The dead letters of a node: jobs that killed their worker as often as they may be tried."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from broker.contract.topics import TaskTopic, Weight
from broker.errors import StorageError
from broker.storage.committer import BUSY_TIMEOUT

_LIST = "SELECT key, origin, device, id, weight, task, payload, reason, died_at FROM dead ORDER BY key"
_FORGET_OUTCOME = "DELETE FROM jobs WHERE key = ? AND ended_at IS NOT NULL"
_DROP = "DELETE FROM dead WHERE key = ?"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One of them; `origin` is the node that handed it over, empty where a device submitted it here."""

    key: int
    origin: str
    device: str
    id: str
    weight: Weight
    task: str
    payload: bytes
    reason: str
    died: datetime

    @property
    def topic(self) -> str:
        """Where it has to be published to be tried again."""
        return str(TaskTopic(self.weight, self.task, self.device, self.id))


class DeadLetters:
    """The list in a node's journal, for another process than the node's: it may run meanwhile or not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[DeadLetter]:
        """The letters, the oldest first. Raises StorageError."""
        with self._connected() as connection:
            return [
                DeadLetter(
                    key=row[0],
                    origin=row[1],
                    device=row[2],
                    id=row[3],
                    weight=Weight(row[4]),
                    task=row[5],
                    payload=row[6],
                    reason=row[7],
                    died=datetime.fromtimestamp(row[8], UTC),
                )
                for row in connection.execute(_LIST)
            ]

    def forget_outcome(self, letter: DeadLetter) -> None:
        """Make it a new task for when it comes again; the letter stays. Raises StorageError."""
        with self._connected() as connection, connection:
            connection.execute(_FORGET_OUTCOME, (letter.key,))

    def drop(self, letter: DeadLetter) -> None:
        """Throw a letter away; its outcome is remembered as long as any. Raises StorageError."""
        with self._connected() as connection, connection:
            connection.execute(_DROP, (letter.key,))

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            raise StorageError(f"there is no journal at {self._path}; name the node's folder with --data")
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=BUSY_TIMEOUT)) as connection:
                yield connection
        except sqlite3.Error as fault:
            raise StorageError(f"the journal {self._path} cannot be used: {fault}") from fault
