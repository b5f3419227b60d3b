"""Reading reports from a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio
import redis.exceptions

from fog_node.execution.report_reader import ReportReader
from fog_tasks.reporting.reports import FIELD, Done, encode_report
from tests.support.redis import private_redis

REPORT = Done("t-1", b"1", 2.0)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with private_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


class Stream:
    """A reader of a stream, and one who writes there."""

    def __init__(self, url: str, name: str) -> None:
        self.name, self.redis = name, redis.asyncio.Redis.from_url(url)
        self.reader = ReportReader(url, name)

    async def write(self) -> None:
        await self.redis.xadd(self.name, {FIELD: encode_report(REPORT)})

    async def read_on(self) -> None:
        while True:
            await self.reader.read()


@pytest.fixture
async def stream(redis_url: str, tmp_path: Path) -> AsyncIterator[Stream]:
    made = Stream(redis_url, tmp_path.name)
    yield made
    await made.reader.close()
    await made.redis.aclose()


async def test_what_was_reported_before_the_start_is_of_an_earlier_life(stream: Stream) -> None:
    await stream.write()
    await stream.reader.start()
    await stream.write()
    assert await stream.reader.read() == [REPORT]


async def test_a_reader_that_begins_anew_reads_everything_again(stream: Stream) -> None:
    await stream.reader.start()
    await stream.write()
    await stream.reader.read()
    stream.reader.rewind()
    assert await stream.reader.read() == [REPORT]


async def test_a_redis_that_hangs_counts_as_away_and_is_read_again_later(stream: Stream) -> None:
    await stream.reader.start()
    await stream.write()
    await stream.redis.client_pause(6_500)
    with pytest.raises(redis.exceptions.TimeoutError, match="no answer within"):
        await asyncio.wait_for(stream.reader.read(), 30)
    assert await stream.reader.read() == [REPORT]


@pytest.mark.parametrize("turns", range(1, 9))
async def test_reading_ends_when_it_is_cancelled_at_whatever_it_is(stream: Stream, turns: int) -> None:
    """After so many turns of the loop it sends its question, or waits for the answer."""
    await stream.reader.start()
    await stream.write()
    await stream.reader.read()
    reading = asyncio.create_task(stream.read_on())
    for _ in range(turns):
        await asyncio.sleep(0)
    reading.cancel()
    done, _ = await asyncio.wait([reading], timeout=5)
    reading.cancel()
    assert done
