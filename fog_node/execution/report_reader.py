"""Reads what workers report, the moment they write it: a blocking read on the node's Redis stream."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio.connection import AbstractConnection

from fog_node.execution.redis_client import connect, time_limit
from fog_tasks.reporting.reports import FIELD, Report, decode_report

log = structlog.get_logger()

_BLOCK_MS = 1_000
"""How long one blocking read waits before it is made again; no report waits for it."""

_COUNT = 100
"""Entries of the stream taken in one read at most; in each are the reports of one write, 64 at most."""


class ReportReader:
    """One node's reader of its report stream."""

    def __init__(self, redis_url: str, stream: str) -> None:
        self._stream = stream
        self._redis = connect(redis_url)
        self._last: bytes | str = "0-0"
        self._connection: AbstractConnection | None = None

    async def start(self) -> None:
        """Begin after what is in the stream already. Raises redis.RedisError."""
        async with time_limit():
            newest: Any = await self._redis.xrevrange(self._stream, count=1)
        self._last = newest[0][0] if newest else "0-0"

    async def read(self) -> list[Report]:
        """Wait for reports and return them; an empty list now and then. Raises redis.RedisError."""
        # Over a connection of its own: redis-py's general way costs half as much again for each read.
        async with time_limit():
            if self._connection is None:
                pool: Any = self._redis.connection_pool
                self._connection = await pool.get_connection()
            options = ("COUNT", _COUNT, "BLOCK", _BLOCK_MS, "STREAMS", self._stream, self._last)
            await self._connection.send_command("XREAD", *options)
            found: Any = await self._connection.read_response()
        if not found:
            return []
        entries = found[0][1]
        self._last = entries[-1][0]
        return [report for _, fields in entries for report in _decode(fields)]

    async def trim(self) -> None:
        """Delete what was read. Raises redis.RedisError."""
        async with time_limit():
            await self._redis.xtrim(self._stream, minid=self._last, approximate=True)

    def rewind(self) -> None:
        """Read from the beginning again; what was read before is known to the reader's user."""
        self._last = "0-0"

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()


def _decode(fields: Sequence[bytes]) -> Iterator[Report]:
    """The reports of one entry, whose fields are names and values in turn."""
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if name == FIELD:
            try:
                yield decode_report(value)
            except msgspec.MsgspecError as fault:
                log.warning("report_unreadable", reason=str(fault))
