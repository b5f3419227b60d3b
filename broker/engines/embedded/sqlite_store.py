"""Keeps persistent sessions and retained messages in an SQLite file, so that they outlive the process.

Changes gather in memory and are written in one transaction at the end of a turn of the event loop,
before anything that follows from them leaves the process. The transaction is not synced to the disk:
what it holds survives the death of the process, not that of the machine's power. The slow part,
moving the log into the file, is done in a thread of its own.
"""

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.message import Delivery, DeliveryStage, DiskMessage, RoutedMessage
from broker.engines.embedded.sessions.grant import Grant
from broker.engines.embedded.sessions.sessions import Sessions
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.sessions.will import LastWill
from broker.engines.embedded.sqlite_rows import (
    PUT_ENTRY,
    PUT_MESSAGE,
    PUT_WILL,
    entry_row,
    message_row,
    read_identifiers,
    read_will,
    will_row,
)
from broker.engines.embedded.sqlite_schema import correct_clock, prepare
from broker.errors import EngineError, StoreFailed

PUT_SESSION = "INSERT OR REPLACE INTO session VALUES (?, ?, ?)"
PUT_SUBSCRIPTION = "INSERT OR REPLACE INTO subscription VALUES (?, ?, ?, ?, ?, ?)"
MOVE_ENTRY = "UPDATE entry SET stage = ?, packet_id = ? WHERE id = ?"
PUT_RECEIVED = "INSERT OR REPLACE INTO received VALUES (?, ?)"
PUT_RETAINED = "INSERT OR REPLACE INTO retained VALUES (?, ?, ?, ?, ?, ?, ?)"
DELETE_MESSAGE = "DELETE FROM message WHERE id = ?"
DELETE_ENTRY = "DELETE FROM entry WHERE id = ?"
SMALL = 4096
"""Bytes of a content up to which it is in memory again after a restart, however much else waits."""

READ_MESSAGES = (
    "SELECT id, topic, CASE WHEN small THEN payload ELSE x'' END, CASE WHEN small THEN passed ELSE x'' END,"  # noqa: S608
    " length(payload), length(passed), qos, born, retain, sender, expires"
    f" FROM (SELECT *, length(payload) + length(passed) <= {SMALL} AS small FROM message)"
)
READ_CONTENT = "SELECT payload, passed FROM message WHERE id = ?"

Statement = tuple[str, tuple[object, ...]]


class SqliteStore(SessionStore):
    """A store on disk. `on_change` is called once with the first change after each commit."""

    def __init__(self, path: Path, on_change: Callable[[], None]) -> None:
        self._path = path
        self._on_change = on_change
        self._changes: list[Statement] = []
        # Entries of this turn by row: what arrives in the turn it came in never reaches the disk.
        self._fresh: dict[int, tuple[str, Delivery]] = {}
        self._fresh_messages: dict[int, RoutedMessage] = {}
        self._leaving: list[DiskMessage] = []
        self._last_row = 0
        try:
            self._database = self._open()
        except sqlite3.Error as fault:
            raise _unusable(path, fault) from fault

    @property
    def dirty(self) -> bool:
        return bool(self._changes or self._fresh or self._fresh_messages)

    def opened(self, session: str, expiry: float) -> None:
        # 0 stands for who is connected: a process that dies cannot say when they left.
        self._change(PUT_SESSION, session, 0.0, expiry)

    def ended(self, session: str, entries: Iterable[Delivery]) -> None:
        for entry in entries:
            self.removed(entry)
        for table in ("session", "subscription", "received", "will"):
            self._change(f"DELETE FROM {table} WHERE client = ?", session)  # noqa: S608

    def left(self, session: str, now: float, expiry: float) -> None:
        self._change(PUT_SESSION, session, now, expiry)

    def subscribed(self, session: str, filter: str, grant: Grant) -> None:
        options = (grant.qos, grant.no_local, grant.retain_as_published)
        self._change(PUT_SUBSCRIPTION, session, filter, *options, sum(grant.identifiers))

    def unsubscribed(self, session: str, filter: str) -> None:
        self._change("DELETE FROM subscription WHERE client = ? AND filter = ?", session, filter)

    def added(self, session: str, entry: Delivery) -> None:
        self._note()
        self._hold(entry.message)
        entry.row = self._next_row()
        self._fresh[entry.row] = (session, entry)

    def moved(self, entry: Delivery) -> None:
        if entry.row not in self._fresh:
            self._change(MOVE_ENTRY, int(entry.stage), entry.packet_id, entry.row)

    def removed(self, entry: Delivery) -> None:
        if self._fresh.pop(entry.row, None) is None:
            self._change(DELETE_ENTRY, entry.row)
        self._let_go(entry.message)

    @property
    def keeps(self) -> bool:
        return True

    def parked(self, message: DiskMessage) -> None:
        self._note()
        self._hold(message)
        self._leaving.append(message)

    def unparked(self, message: RoutedMessage) -> None:
        self._let_go(message)

    def heard(self, session: str, packet_id: int) -> None:
        self._change(PUT_RECEIVED, session, packet_id)

    def released(self, session: str, packet_id: int) -> None:
        self._change("DELETE FROM received WHERE client = ? AND packet_id = ?", session, packet_id)

    def kept(self, message: RoutedMessage) -> None:
        said, when = (message.topic, message.payload, message.qos), (message.born, message.sender)
        self._change(PUT_RETAINED, *said, *when, message.expires, message.passed)

    def cleared(self, topic: str) -> None:
        self._change("DELETE FROM retained WHERE topic = ?", topic)

    def will_kept(self, session: str, will: LastWill, due: float) -> None:
        self._change(PUT_WILL, *will_row(session, will, due))

    def will_gone(self, session: str) -> None:
        self._change("DELETE FROM will WHERE client = ?", session)

    def commit(self) -> None:
        try:
            self._database.execute("BEGIN")
            self._database.executemany(PUT_MESSAGE, map(message_row, self._fresh_messages.values()))
            self._database.executemany(PUT_ENTRY, (entry_row(*one) for one in self._fresh.values()))
            for statement, values in self._changes:
                self._database.execute(statement, values)
            self._database.execute("COMMIT")
        except sqlite3.Error as fault:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise StoreFailed(f"{self._path}: {fault}") from fault
        # Only now: after a failure the next commit tries all of it again.
        self._fresh.clear()
        self._fresh_messages.clear()
        for message in self._leaving:
            message.leave_memory(self._content)
        self._leaving.clear()
        self._changes.clear()

    def checkpoint(self) -> None:
        """Move the log into the file. Meant for a thread: it waits for the disk."""
        database = sqlite3.connect(self._path, timeout=5.0)
        try:
            # PASSIVE waits for nobody: the loop must be able to commit meanwhile.
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            database.close()

    def restore(self, core: BrokerCore) -> None:
        """Give a new broker what an earlier process has kept; who was connected then left just now.

        What was kept later than now, by another clock, counts as kept now.

        Raises EngineError where the file is damaged, and is closed then.
        """
        try:
            self._restore(core)
        except (sqlite3.Error, LookupError, TypeError, ValueError) as fault:
            # A damaged page can hold anything, so that what is read of it fails in any of these ways.
            self._database.close()
            raise _unusable(self._path, fault) from fault

    def close(self) -> None:
        try:
            if self.dirty:
                self.commit()
        finally:
            self._database.close()

    def _restore(self, core: BrokerCore) -> None:
        read, sessions, now = self._database.execute, core.sessions, core.running()
        correct_clock(self._database, now)
        for topic, payload, qos, born, sender, expires, passed in read("SELECT * FROM retained"):
            message = RoutedMessage(
                topic, payload, qos=qos, born=born, retain=True, sender=sender, expires=expires, passed=passed
            )
            core.router.retained.put(message)
        for client, left_at, expiry in read("SELECT * FROM session"):
            sessions.restore(client, expiry).left_at = left_at or now
        for client, wanted, qos, no_local, as_published, identifier in read("SELECT * FROM subscription"):
            grant = Grant.of(
                qos,
                no_local=bool(no_local),
                retain_as_published=bool(as_published),
                identifier=identifier,
            )
            core.router.route_to(sessions[client], wanted, grant)
        for client, packet_id in read("SELECT * FROM received"):
            sessions[client].received[packet_id] = None
        for client, *row, due in read("SELECT * FROM will"):
            core.wills.restore(sessions[client], read_will(tuple(row)), due)
        self._restore_entries(sessions)

    def _restore_entries(self, sessions: Sessions) -> None:
        messages: dict[int, RoutedMessage] = {}
        columns = self._database.execute(READ_MESSAGES)
        for row, topic, payload, passed, size, passed_size, qos, born, retain, sender, expires in columns:
            kind = RoutedMessage if size + passed_size <= SMALL else DiskMessage
            message = kind(
                topic,
                payload,
                qos=qos,
                born=born,
                retain=bool(retain),
                sender=sender,
                expires=expires,
                passed=passed,
            )
            message.row = row
            if isinstance(message, DiskMessage):
                message.stay_on_disk(size, passed_size, self._content)
            messages[row] = message
        entries = self._database.execute("SELECT * FROM entry ORDER BY id")
        for row, client, number, qos, retain, stage, packet_id, written, replayed in entries:
            message = messages[number]
            first = isinstance(message, DiskMessage) and not message.holders
            identifiers = read_identifiers(written)
            if first and sessions[client].has_memory_for(message, identifiers):
                message = messages[number] = message.copy(RoutedMessage)
            # One that waits on disk is held as such by each session, too.
            message.holders += 1 + message.on_disk
            sessions[client].restore(
                Delivery(
                    message,
                    qos,
                    bool(retain),
                    identifiers,
                    DeliveryStage(stage),
                    packet_id,
                    row,
                    replayed=bool(replayed),
                )
            )
            self._last_row = max(self._last_row, row)
        self._last_row = max((self._last_row, *messages))

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, timeout=5.0)
        try:
            prepare(database)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _hold(self, message: RoutedMessage) -> None:
        if not message.holders:
            message.row = self._next_row()
            self._fresh_messages[message.row] = message
        message.holders += 1

    def _let_go(self, message: RoutedMessage) -> None:
        message.holders -= 1
        if not message.holders and self._fresh_messages.pop(message.row, None) is None:
            self._change(DELETE_MESSAGE, message.row)

    def _content(self, row: int) -> tuple[bytes, bytes]:
        try:
            payload, passed = self._database.execute(READ_CONTENT, (row,)).fetchone()
        except (sqlite3.Error, TypeError) as fault:
            raise StoreFailed(f"{self._path}: {fault}") from fault
        return payload, passed

    def _next_row(self) -> int:
        self._last_row += 1
        return self._last_row

    def _change(self, statement: str, *values: object) -> None:
        self._note()
        self._changes.append((statement, values))

    def _note(self) -> None:
        # Before the change is added: a store that is dirty has said so.
        if not self.dirty:
            self._on_change()


def _unusable(path: Path, fault: Exception) -> EngineError:
    return EngineError(f"the broker's store {path} cannot be used: {fault}; move it away to begin a new one")
