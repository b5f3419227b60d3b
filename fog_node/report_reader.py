"""Reads what workers report, the moment they write it: a blocking read on the node's Redis stream."""

from typing import Any

import msgspec
import redis.asyncio
import redis.exceptions
import structlog

from tasks.reports import FIELD, Report, decode_report

log = structlog.get_logger()

_BLOCK_MS = 1_000
"""How long one blocking read waits before it is made again; no report waits for it."""

_COUNT = 500
"""Reports taken in one read at most."""


class ReportReader:
    """One node's reader of its report stream."""

    def __init__(self, redis_url: str, stream: str) -> None:
        self._stream = stream
        self._redis = redis.asyncio.Redis.from_url(redis_url, socket_timeout=5.0, protocol=2)
        self._last: bytes | str = "0-0"

    async def start(self) -> None:
        """Begin after what is in the stream already. Raises redis.RedisError."""
        newest: Any = await self._redis.xrevrange(self._stream, count=1)
        self._last = newest[0][0] if newest else "0-0"

    async def read(self) -> list[Report]:
        """Wait for reports and return them; an empty list now and then. Raises redis.RedisError."""
        found: Any = await self._redis.xread({self._stream: self._last}, count=_COUNT, block=_BLOCK_MS)
        if not found:
            return []
        entries = found[0][1]
        self._last = entries[-1][0]
        return [report for _, fields in entries if (report := _decode(fields.get(FIELD))) is not None]

    async def trim(self) -> None:
        """Delete what was read. Raises redis.RedisError."""
        await self._redis.xtrim(self._stream, minid=self._last, approximate=True)

    def rewind(self) -> None:
        """Read from the beginning again; what was read before is known to the reader's user."""
        self._last = "0-0"

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()


def _decode(data: bytes | None) -> Report | None:
    try:
        return decode_report(data or b"")
    except msgspec.MsgspecError as fault:
        log.warning("report_unreadable", reason=str(fault))
        return None
