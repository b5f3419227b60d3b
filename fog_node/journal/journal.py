"""The journal: every accepted task and every outcome, in SQLite, committed before anyone is told.

A job is a row from its acceptance on; its outcome is written into the same row when it ends, and the
row is deleted when it need not be remembered any longer:

    (unknown) --accept--> open --finish--> ended --forget--> (unknown)

A job that ends before its acceptance is committed is written once, as one that has ended.

A job that killed its worker as often as it may be tried leaves a copy among the dead letters, where
it stays until someone submits it again or throws it away (dead_letters.py).
"""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from broker.contract.message import UserProperties
from broker.contract.topics import Weight
from broker.programs.machine import this_boot
from broker.running_time import Reading, RunningTime
from broker.storage.group_commit import GroupCommit, one
from fog_node.jobs.answer import Answer
from fog_node.jobs.fingerprint import fingerprint
from fog_node.jobs.job import End, Job
from fog_node.jobs.refusal import Sender
from fog_node.journal.migration import migrate
from fog_node.journal.recently_ended import RecentlyEnded

PATIENCE = 0.01
"""Seconds for which the acceptance of a job that runs already may wait for its end.

Nobody waits for it but its sender's acknowledgement. A job that ends meanwhile is written once and not twice,
and its acknowledgement and its outcome leave in one packet.
"""

LAST_WORDS = 2.0
"""Seconds before a node's death in which an outcome may have been written and not sent."""

DEAD_LETTERS = 1_000
"""Dead letters that are kept; the oldest go first."""

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
    fingerprint BLOB NOT NULL DEFAULT x'',
    user_properties TEXT,
    answer BLOB,
    UNIQUE (origin, device, id, fingerprint)
);
CREATE INDEX IF NOT EXISTS jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (key) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS dead (
    key INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    device TEXT NOT NULL,
    id TEXT NOT NULL,
    weight TEXT NOT NULL,
    task TEXT NOT NULL,
    payload BLOB NOT NULL,
    reason TEXT NOT NULL,
    died_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
# The payload stands second and the end last: `finish` puts its own there.
_ACCEPT = (
    "INSERT INTO jobs (key, payload, origin, device, id, fingerprint, weight, task, reply, correlation,"
    " user_properties, answer, route, max_hops, accepted_at, deadline_at, ended_at, end, outcome)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
_NOT_ENDED = (None, None, None)
_FINISH = (
    "UPDATE jobs SET ended_at = ?, end = ?, outcome = ?, payload = x'' WHERE key = ? AND ended_at IS NULL"
)
_BURY = (
    "INSERT OR REPLACE INTO dead (key, origin, device, id, weight, task, payload, reason, died_at)"
    " VALUES (?,?,?,?,?,?,?,?,?)"
)
_TRIM_DEAD = (
    f"DELETE FROM dead WHERE key NOT IN (SELECT key FROM dead ORDER BY key DESC LIMIT {DEAD_LETTERS})"  # noqa: S608
)
_FORGET = "DELETE FROM jobs WHERE ended_at < ?"
_BEGIN = "INSERT OR IGNORE INTO about VALUES ('life', ?)"
_RENEW = "INSERT OR REPLACE INTO about VALUES ('life', ?)"
# A job without a fingerprint ended before jobs had one.
_FIND = (
    "SELECT end, outcome FROM jobs WHERE origin = ? AND device = ? AND id = ? AND fingerprint IN (?, x'')"
    " AND (fingerprint <> x'' OR task = ?) AND ended_at IS NOT NULL ORDER BY fingerprint DESC"
)
_ACCEPTED_AHEAD = (
    "UPDATE jobs SET deadline_at = deadline_at - accepted_at + ?, accepted_at = ?"
    " WHERE ended_at IS NULL AND accepted_at > ?"
)
_ENDED_AHEAD = "UPDATE jobs SET ended_at = ? WHERE ended_at > ?"
_READ_CLOCK = "SELECT value FROM about WHERE name = 'clock'"
_KEEP_CLOCK = "INSERT OR REPLACE INTO about VALUES ('clock', ?)"
_LATEST_END = "SELECT MAX(ended_at) FROM jobs WHERE ended_at IS NOT NULL"
_UNSENT = (
    "SELECT device, id, reply, origin, correlation, user_properties, answer, fingerprint, outcome FROM jobs"
    " WHERE ended_at >= ? ORDER BY ended_at"
)
_UNSENT_SINCE = "SELECT value FROM about WHERE name = 'unsent_since'"
_NOTE_UNSENT = "INSERT OR REPLACE INTO about VALUES ('unsent_since', ?)"
_NOTE_NONE_UNSENT = "DELETE FROM about WHERE name = 'unsent_since'"
_OPEN = (
    "SELECT key, origin, device, id, weight, task, payload, reply, correlation, route, max_hops,"
    " accepted_at, deadline_at, fingerprint, user_properties, answer FROM jobs WHERE ended_at IS NULL"
    " ORDER BY key"
)


@dataclass(frozen=True, slots=True)
class Remembered:
    """An ended job: how it ended and the outcome its device was sent."""

    end: End
    outcome: bytes


class Journal:
    """A node's journal in one SQLite file.

    What writes returns a future that is done once it is durable, or fails with StorageError. `synchronous` is
    as GroupCommit says. The file keeps running time, by `clock`, and the reading from which the next life
    goes on with it; jobs keep monotonic time, and dead letters, for people, the `wall` clock's.
    """

    def __init__(self, file: GroupCommit, clock: RunningTime, wall: Callable[[], float]) -> None:
        self._file = file
        self.clock = clock
        self._wall = wall
        # Tells this file's keys from those of a file that was here before it, or is elsewhere.
        self.life: str = one(self._file.read("SELECT value FROM about WHERE name = 'life'"))
        # The highest key ever, also of jobs that are forgotten: other nodes may still speak of them.
        highest = one(self._file.read("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'"))
        self._next_key = 1 if highest is None else highest + 1
        self._ended = RecentlyEnded(unknown_until=one(self._file.read(_LATEST_END)))

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        path: Path,
        *,
        synchronous: str = "full",
        copied: bool = False,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        boot: str | None = None,
    ) -> AsyncIterator[Self]:
        """Open or create the file; close it when all that was written is committed. Raises StorageError.

        A file that was `copied` gets a life of its own: other nodes tell its keys from those of the original.
        """
        migrate(path, _SCHEMA)
        async with GroupCommit.opened(path, _SCHEMA, name="journal", synchronous=synchronous) as file:
            boot = this_boot() if boot is None else boot
            clock = RunningTime(_saved(file), wall=wall, monotonic=monotonic, boot=boot)
            now = clock.now()
            # What was stored with another clock, or after the last reading that was kept.
            file.write(_ACCEPTED_AHEAD, now, now, now)
            file.write(_ENDED_AHEAD, now, now)
            await file.write(_RENEW if copied else _BEGIN, secrets.token_hex(4))
            journal = cls(file, clock, wall)
            journal.keep_clock()
            try:
                yield journal
            finally:
                journal.keep_clock()

    def keep_clock(self) -> None:
        """Keep the reading from which the next life goes on."""
        kept = self._file.write(_KEEP_CLOCK, msgspec.json.encode(self.clock.read()).decode())
        # An older reading serves as well while the disk is full.
        kept.add_done_callback(lambda done: done.cancelled() or done.exception())

    def next_key(self) -> int:
        """A number that no job of this journal has or had."""
        key: int = self._next_key
        self._next_key += 1
        return key

    def accept(self, job: Job, *, patience: float = 0.0) -> asyncio.Future[None]:
        """Write a new job; that may wait `patience` seconds for how it ends."""
        return self._file.write(
            _ACCEPT,
            job.key,
            job.payload,
            job.origin,
            job.device,
            job.id,
            job.fingerprint,
            job.weight,
            job.task,
            job.reply,
            job.correlation,
            # Most jobs have none.
            msgspec.json.encode(job.user_properties).decode() if job.user_properties else None,
            None if job.answer is None else msgspec.msgpack.encode(job.answer),
            msgspec.json.encode(job.route).decode(),
            job.max_hops,
            self.clock.of(job.received),
            None if job.deadline is None else self.clock.of(job.deadline),
            *_NOT_ENDED,
            size=len(job.payload),
            patience=patience,
            name=job.key,
        )

    def finish(self, job: Job, end: End, outcome: bytes) -> asyncio.Future[None]:
        """Write how a job ended."""
        now = self.clock.now()
        self._ended.add(job.identity, now)
        accepted = self._file.waiting(job.key)
        if accepted is None:
            return self._file.write(_FINISH, now, end, outcome, job.key, size=len(outcome))
        if accepted[-len(_NOT_ENDED) :] != _NOT_ENDED:
            # It has an outcome already, which stays.
            return self._file.amend(job.key, accepted, size=len(outcome))
        key, _, *rest = accepted[: -len(_NOT_ENDED)]
        return self._file.amend(job.key, (key, b"", *rest, now, end, outcome), size=len(outcome))

    def keep_dead(self, job: Job, reason: str) -> asyncio.Future[None]:
        """Keep a copy of a job that has not ended yet among the dead letters."""
        about = (job.key, job.origin, job.device, job.id, job.weight, job.task)
        self._file.write(_BURY, *about, job.payload, reason, self._wall(), size=len(job.payload))
        return self._file.write(_TRIM_DEAD)

    def unsent(self) -> list[tuple[Sender, bytes]]:
        """The outcomes that an earlier life may not have sent, and to whom; they stay so until it is noted.

        It has noted since when, if it could; or it died, and its last ones may be among them.
        """
        noted, latest = one(self._file.read(_UNSENT_SINCE)), one(self._file.read(_LATEST_END))
        since = float(noted) if noted is not None else math.inf if latest is None else latest - LAST_WORDS
        unsent = [
            (
                Sender(
                    device=row[0],
                    id=row[1],
                    reply=row[2],
                    origin=row[3],
                    correlation=row[4],
                    user_properties=_properties(row[5]),
                    answer=_answer(row[6]),
                    fingerprint=row[7],
                ),
                row[8],
            )
            for row in self._file.read(_UNSENT, since)
        ]
        self._note_unsent(since if unsent else None)
        return unsent

    def note_unsent(self, since: float | None) -> asyncio.Future[None]:
        """Write down from when on outcomes are not sent, by the monotonic clock; None to know of none.

        `math.inf` says that all are: nothing is sent again after an end that was in order.
        """
        return self._note_unsent(None if since is None else self.clock.of(since))

    def _note_unsent(self, since: float | None) -> asyncio.Future[None]:
        if since is None:
            return self._file.write(_NOTE_NONE_UNSENT)
        return self._file.write(_NOTE_UNSENT, repr(since))

    def forget(self, age: float) -> asyncio.Future[None]:
        """Delete the jobs that ended more than `age` seconds ago, and keep the clock."""
        self.keep_clock()
        # By the time written in the rows, since they outlive this process and its monotonic clock.
        before = self.clock.now() - age

        def forgotten(done: asyncio.Future[None]) -> None:
            # Not before: what is still there has to be found.
            if not done.cancelled() and done.exception() is None:
                self._ended.forget(before)

        done = self._file.write(_FORGET, before)
        done.add_done_callback(forgotten)
        return done

    def find(self, job: Job) -> Remembered | None:
        """Look up the ended job that is the same task as this one."""
        # Nearly every task is new, and a look into the file would hold up the loop.
        if not self._ended.may_hold(job.identity):
            return None
        row = self._file.read(_FIND, *job.identity, job.task).fetchone()
        return None if row is None else Remembered(End(row[0]), row[1])

    def open_jobs(self) -> Iterator[Job]:
        """The jobs without an outcome, in the order of their acceptance."""
        for row in self._file.read(_OPEN):
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
                user_properties=_properties(row[14]),
                answer=_answer(row[15]),
                route=tuple(msgspec.json.decode(row[9])),
                max_hops=row[10],
                fingerprint=row[13] or fingerprint(row[5], row[6]),
                received=self.clock.monotonic(row[11]),
                deadline=None if row[12] is None else self.clock.monotonic(row[12]),
            )


def _properties(kept: str | None) -> UserProperties:
    return () if kept is None else msgspec.json.decode(kept, type=UserProperties)


def _answer(kept: bytes | None) -> Answer | None:
    return None if kept is None else msgspec.msgpack.decode(kept, type=Answer)


def _saved(file: GroupCommit) -> Reading | None:
    """The reading that an earlier life has kept; None without one that can be read."""
    try:
        return msgspec.json.decode(one(file.read(_READ_CLOCK)) or "null", type=Reading | None)
    except msgspec.MsgspecError:
        return None
