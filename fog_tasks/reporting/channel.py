"""Writes reports to a node's stream, over one Redis connection per process."""

import itertools
import os
import time
from operator import itemgetter
from typing import Any

import redis
from celery.utils.log import current_process_index  # type: ignore[attr-defined]  # its stubs lack it
from redis.connection import AbstractConnection

from fog_tasks.reporting.report_buffers import Note, ReportBuffer, ReportBuffers
from fog_tasks.reporting.reports import FIELD, STREAM_LENGTH, Report, encode_report, withdrawn_key

RETRY_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0)
"""Seconds between attempts to report while Redis is away: 7 s in all, in which a Redis starts again."""

GATHERING = 0.001
"""Seconds after a write for which reports are gathered, to be written together: nobody notices the delay, and
a write for each short task would take longer than the task."""


IDLE = 0.5
"""Seconds after which a connection is looked at before it is used: a Redis may close those that nobody uses,
after a second at the least (its setting `timeout`)."""


class ReportChannel:
    """Sends the reports of one process to the nodes that gave it work.

    When a method returns, its report has been written to the connection, except by `gather`, whose reports
    wait in a buffer for `flush`. `confirm` waits until Redis has stored what was posted or gathered. If the
    connection breaks meanwhile, they are written again: a node ignores a report that it gets twice.
    """

    def __init__(self, redis_url: str, buffers: ReportBuffers | None = None) -> None:
        self._redis_url = redis_url
        self._buffers = buffers
        self._buffer: ReportBuffer | None = None
        self._gathered: list[Note] = []
        self._flushed = 0.0
        self._owner = 0
        self._connection: AbstractConnection | None = None
        self._unread = 0
        self._used = 0.0
        self._broken = False
        self._unconfirmed: list[Note] = []

    def send(self, stream: str, report: Report) -> None:
        """Write a report and confirm it. Raises redis.RedisError."""
        self.post(stream, report)
        self.confirm()

    def post(self, stream: str, report: Report) -> None:
        """Write a report; `confirm` will make sure that it is stored."""
        note = (stream, encode_report(report))
        self._unconfirmed.append(note)
        self._try_to_write([note])

    def gather(self, stream: str, report: Report) -> None:
        """Post a report: at once if the last write is a millisecond old, else with those that follow."""
        note = (stream, encode_report(report))
        buffer = self._own_buffer()
        if buffer is None or not (buffer.add(note) or self._add_to_empty(buffer, note)):
            self.post(stream, report)
            return
        self._gathered.append(note)
        if time.monotonic() - self._flushed > GATHERING:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        self._flushed = time.monotonic()
        if self._gathered:
            assert self._buffer is not None
            # In this order, because a time limit may interrupt this anywhere: a report may then be written
            # twice, but is never forgotten.
            self._unconfirmed += self._gathered
            gathered, self._gathered = self._gathered, []
            self._try_to_write(gathered)
            self._buffer.wipe()

    def tell_gathered_by(self, pid: int) -> None:
        """Write what a child process has gathered: a long task may keep it from doing so itself."""
        if self._buffers is not None and (notes := self._buffers.news(pid)):
            self._try_to_write(notes)
            self._try_to_read_replies()

    def post_gathered_by(self, pid: int) -> None:
        """Post what a child process has gathered and cannot write any more, because it has died."""
        if self._buffers is not None and (notes := self._buffers.news(pid)):
            self._unconfirmed += notes
            self._try_to_write(notes)

    def mention(self, stream: str, report: Report) -> None:
        """Write a report that may get lost, without waiting for an answer of Redis."""
        self.flush()
        self._try_to_write([(stream, encode_report(report))])

    def tell(self, stream: str, report: Report) -> None:
        """Write a report that may get lost, and read the answers of Redis so far."""
        self.mention(stream, report)
        self._try_to_read_replies()

    def confirm(self) -> None:
        """Return once Redis has stored all that was posted; if Redis is away, try again for some seconds.

        Raises redis.RedisError, and then the posted reports are given up.
        """
        self.flush()
        try:
            self._confirm()
        finally:
            self._unconfirmed.clear()
            self._broken = False

    def withdrawn(self, ticket: str) -> frozenset[int]:
        """Ask which members of a batch must not run any more; none if Redis cannot be reached."""
        try:
            self._send("SMEMBERS", withdrawn_key(ticket))
            members: Any = self._read_replies()
        except (redis.ConnectionError, redis.TimeoutError):
            self.disconnect()
            return frozenset()
        return frozenset(map(int, members))

    def disconnect(self) -> None:
        """Close the connection; the next report opens another."""
        connection, self._connection, self._unread = self._connection, None, 0
        self._broken = bool(self._unconfirmed)
        if connection is not None and self._owner == os.getpid():
            connection.disconnect()  # type: ignore[no-untyped-call]

    def _confirm(self) -> None:
        for pause in (*RETRY_PAUSES, None):
            try:
                # All of them: nobody knows which had arrived, and the node ignores the second.
                if self._broken:
                    self._broken = False
                    self._write(self._unconfirmed)
                self._read_replies()
                return  # noqa: TRY300  # an else would stand after an except that only goes on
            except (redis.ConnectionError, redis.TimeoutError):
                self.disconnect()
                if pause is None:
                    raise
                time.sleep(pause)

    def _try_to_read_replies(self) -> None:
        try:
            self._read_replies()
        except (redis.ConnectionError, redis.TimeoutError):
            self.disconnect()

    def _read_replies(self) -> Any:
        reply: Any = None
        while self._unread:
            self._unread -= 1
            reply = self._connected().read_response()
        return reply

    def _try_to_write(self, notes: list[Note]) -> None:
        try:
            self._write(notes)
        except (redis.ConnectionError, redis.TimeoutError):
            self.disconnect()

    def _write(self, notes: list[Note]) -> None:
        """Write one entry to each stream, with a field for each report."""
        for stream, group in itertools.groupby(notes, key=itemgetter(0)):
            fields = itertools.chain.from_iterable((FIELD, report) for _, report in group)
            self._send("XADD", stream, "MAXLEN", "~", STREAM_LENGTH, "*", *fields)

    def _send(self, *command: bytes | str | int) -> None:
        now = time.monotonic()
        if now - self._used > IDLE:
            self._look()
        self._used = now
        send: Any = self._connected().send_command
        send(*command)
        self._unread += 1

    def _look(self) -> None:
        """Let go of a connection that Redis has closed; what it has not confirmed is written again."""
        if self._connection is None or self._owner != os.getpid():
            return
        self._try_to_read_replies()
        if self._connection is not None and _is_closed(self._connection):
            # All that was written before has been confirmed, unless an earlier connection broke.
            broken = self._broken
            self.disconnect()
            self._broken = broken

    def _own_buffer(self) -> ReportBuffer | None:
        if self._buffers is not None and (self._buffer is None or self._buffer.head[0] != os.getpid()):
            self._buffer = self._buffers.claim(current_process_index(base=0) or 0, os.getpid())
        return self._buffer

    def _add_to_empty(self, buffer: ReportBuffer, note: Note) -> bool:
        self.flush()
        return buffer.add(note)

    def _connected(self) -> AbstractConnection:
        if self._connection is None or self._owner != os.getpid():
            # This process was forked: on its parent's connection it would read its parent's answers.
            self._owner, self._unread = os.getpid(), 0
            pool = redis.ConnectionPool.from_url(self._redis_url, socket_timeout=5.0)
            self._connection = pool.get_connection()
        return self._connection


def _is_closed(connection: AbstractConnection) -> bool:
    """Whether a connection on which no reply is due cannot be used any more."""
    try:
        can_read: Any = connection.can_read
        return bool(can_read())
    except redis.ConnectionError:
        return True
