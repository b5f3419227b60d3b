"""When gathered writes are due, and which of them a commit takes."""

import asyncio
import math

from broker.storage.write_buffer import COMMIT_SIZE, ENOUGH, Write, WriteBuffer


def write(due: float, value: int = 0) -> Write:
    return Write("INSERT", (value,), 0, due, asyncio.Future())


def values(writes: list[Write]) -> list[object]:
    return [one.values[0] for one in writes]


async def test_what_is_due_is_taken_in_its_order_and_the_rest_stays() -> None:
    gathered = WriteBuffer()
    for name, due in enumerate((5.0, 9.0, 1.0)):
        assert gathered.put(name, write(due, name)) == due
    assert gathered.due() == 1.0
    assert values(gathered.take(5.0)) == [0, 2]
    assert gathered.due() == 9.0
    assert values(gathered.take(9.0)) == [1]
    assert gathered.due() == math.inf


async def test_a_second_write_of_a_name_takes_the_place_of_the_first() -> None:
    gathered = WriteBuffer()
    gathered.put("one", write(9.0, 1))
    gathered.put("two", write(1.0, 2))
    gathered.put("one", write(1.0, 3))
    assert values(gathered.take(1.0)) == [3, 2]
    assert gathered.get("one") is None


async def test_enough_of_them_are_due_at_once() -> None:
    gathered = WriteBuffer()
    for name in range(ENOUGH - 1):
        gathered.put(name, write(9.0, name))
    assert gathered.take(0.0) == []
    assert gathered.put(ENOUGH, write(9.0, ENOUGH)) < 0.0
    assert gathered.due() < 0.0
    assert len(gathered.take(0.0)) == ENOUGH


async def test_a_commit_takes_no_more_than_it_may() -> None:
    gathered = WriteBuffer()
    for name in range(COMMIT_SIZE + 1):
        gathered.put(name, write(0.0, name))
    assert values(gathered.take(0.0)) == list(range(COMMIT_SIZE))
    assert values(gathered.take(0.0)) == [COMMIT_SIZE]


async def test_all_is_due_when_it_is_closing() -> None:
    gathered = WriteBuffer()
    gathered.put("patient", write(math.inf, 1))
    gathered.closing = True
    assert gathered.due() < 0.0
    assert values(gathered.take(0.0)) == [1]
    assert gathered.due() == math.inf
