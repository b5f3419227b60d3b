"""Writes reports to a node's stream, over one Redis connection per process."""

import os
import time
from typing import Any

import redis
from redis.connection import AbstractConnection

from tasks.reports import FIELD, STREAM_LENGTH, Report, encode_report, withdrawn_key

RETRY_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0)
"""Seconds between attempts to report an outcome while Redis is away."""

_Post = tuple[str, Report]


class ReportChannel:
    """One process's way to the nodes that gave it work.

    A report is on its way when a method returns; `confirm` waits until Redis has those that were posted,
    and writes them again where the connection broke under them: a node takes the second of two for nothing.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._owner = 0
        self._connection: AbstractConnection | None = None
        self._unread = 0
        self._unconfirmed: list[_Post] = []

    def send(self, stream: str, report: Report) -> None:
        """Write a report and confirm it. Raises redis.RedisError."""
        self.post(stream, report)
        self.confirm()

    def post(self, stream: str, report: Report) -> None:
        """Write a report that `confirm` is to make sure of."""
        self._unconfirmed.append((stream, report))
        self.mention(stream, report)

    def mention(self, stream: str, report: Report) -> None:
        """Write a report that may be lost, without waiting for Redis to confirm it."""
        try:
            self._write(stream, report)
        except (redis.ConnectionError, redis.TimeoutError):
            self.disconnect()

    def tell(self, stream: str, report: Report) -> None:
        """Write a report that may be lost, and read what Redis has answered so far."""
        self.mention(stream, report)
        try:
            self._read_replies()
        except (redis.ConnectionError, redis.TimeoutError):
            self.disconnect()

    def confirm(self) -> None:
        """Return once Redis has all that was posted; wait some seconds where it is away.

        Raises redis.RedisError, and then the posts are given up.
        """
        try:
            self._confirm()
        finally:
            self._unconfirmed.clear()

    def withdrawn(self, ticket: str) -> frozenset[int]:
        """Ask which members of a batch are not to be run any more; none where Redis cannot be reached."""
        try:
            command: Any = self._connected().send_command
            command("SMEMBERS", withdrawn_key(ticket))
            self._unread += 1
            members: Any = self._read_replies()
        except (redis.ConnectionError, redis.TimeoutError):
            self.disconnect()
            return frozenset()
        return frozenset(map(int, members))

    def disconnect(self) -> None:
        """Begin a new connection with the next report."""
        connection, self._connection, self._unread = self._connection, None, 0
        if connection is not None and self._owner == os.getpid():
            connection.disconnect()  # type: ignore[no-untyped-call]

    def _confirm(self) -> None:
        for pause in (*RETRY_PAUSES, None):
            try:
                if self._connection is None:
                    for stream, report in self._unconfirmed:
                        self._write(stream, report)
                self._read_replies()
                return  # noqa: TRY300  # an else would stand after an except that only goes on
            except (redis.ConnectionError, redis.TimeoutError):
                self.disconnect()
                if pause is None:
                    raise
                time.sleep(pause)

    def _read_replies(self) -> Any:
        reply: Any = None
        while self._unread:
            self._unread -= 1
            reply = self._connected().read_response()
        return reply

    def _write(self, stream: str, report: Report) -> None:
        fields = (FIELD, encode_report(report))
        command: Any = self._connected().send_command
        command("XADD", stream, "MAXLEN", "~", STREAM_LENGTH, "*", *fields)
        self._unread += 1

    def _connected(self) -> AbstractConnection:
        if self._connection is None or self._owner != os.getpid():
            # A connection inherited from the parent would mix two processes' answers.
            self._owner, self._unread = os.getpid(), 0
            pool = redis.ConnectionPool.from_url(self._redis_url, socket_timeout=5.0)
            self._connection = pool.get_connection()
        return self._connection
