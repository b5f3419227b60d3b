"""What waits for a link: in which order it leaves, what is dropped, and what a restart finds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import OutboxFull
from broker.links.outbox import Outbox, OutboxEntry, OutboxLimits, opened_store
from broker.running_time import RunningTime

SMALL = OutboxLimits(size=100, messages=4, age=50.0)


YEAR = 365 * 24 * 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def opened(
    folder: Path, clock: Clock | None = None, limits: OutboxLimits = SMALL, link: str = "cloud"
) -> AsyncIterator[Outbox]:
    clock = clock or Clock()
    async with opened_store(folder / "outbox.db", now=clock(), synchronous="off") as store:
        outbox = Outbox(store, link, clock, limits)
        outbox.load()
        yield outbox


async def drained(outbox: Outbox) -> list[str]:
    """The topics in the order in which they leave."""
    taken = []
    while len(outbox):
        try:
            async with asyncio.timeout(5):
                entry, _ = await outbox.take()
        except TimeoutError:
            break
        taken.append(entry.topic)
        outbox.remove(entry.topic)
    return taken


async def test_the_most_urgent_leaves_first_and_then_the_first_come(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        for topic, urgency in (("late", 9.0), ("first", 3.0), ("second", 3.0), ("urgent", 1.0)):
            outbox.put(topic, b"", urgency=urgency)
        assert await drained(outbox) == ["urgent", "first", "second", "late"]


async def test_what_waits_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        await outbox.put("b", b"two", urgency=2.0)
        await outbox.put("a", b"one", urgency=1.0)
    async with opened(tmp_path) as outbox:
        first, payload = await outbox.take()
        assert (first.topic, payload) == ("a", b"one")
        second, payload = await outbox.take()
        assert (second.topic, payload) == ("b", b"two")


async def test_what_was_taken_and_not_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        await outbox.put("a", b"one", urgency=1.0)
        await outbox.take()
    async with opened(tmp_path) as outbox:
        assert await drained(outbox) == ["a"]
    async with opened(tmp_path) as outbox:
        assert len(outbox) == 0


async def test_the_message_that_found_the_outage_goes_back_in_front(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        outbox.put("a", b"", urgency=1.0)
        outbox.put("b", b"", urgency=2.0)
        found, _ = await outbox.take()
        outbox.put("c", b"", urgency=1.5)
        outbox.give_back(found)
        assert await drained(outbox) == ["a", "c", "b"]


async def test_links_do_not_see_each_others_messages(tmp_path: Path) -> None:
    async with opened(tmp_path, link="fog-b") as outbox:
        await outbox.put("a", b"", urgency=1.0)
    async with opened(tmp_path, link="cloud") as outbox:
        assert len(outbox) == 0


async def test_what_is_full_refuses_the_new_and_counts_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        for topic in "abcd":
            outbox.put(topic, b"", urgency=1.0)
        with pytest.raises(OutboxFull, match="4 messages of 0 bytes wait for cloud"):
            outbox.put("e", b"", urgency=0.0)
        outbox.put("a", b"again", urgency=1.0)
        assert outbox.counters.refused == 1
        outbox.remove("b")
        outbox.put("e", b"", urgency=0.0)
        assert len(outbox) == 4


async def test_bytes_are_bounded_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as outbox:
        outbox.put("a", bytes(100), urgency=1.0)
        assert outbox.full
        with pytest.raises(OutboxFull):
            outbox.put("b", b"", urgency=1.0)


@pytest.mark.parametrize(("expires", "counter"), [(1010.0, "expired"), (None, "too_old")])
async def test_what_has_expired_or_is_too_old_is_dropped_when_it_is_taken_out(
    tmp_path: Path, expires: float | None, counter: str
) -> None:
    clock = Clock()
    dropped: list[str] = []
    async with opened(tmp_path, clock) as outbox:
        outbox.on_dropped = dropped.append
        outbox.put("a", b"", urgency=1.0, expires=expires)
        clock.now += 60.0
        outbox.put("b", b"", urgency=2.0)
        assert await drained(outbox) == ["b"]
        assert dropped == ["a"]
        assert getattr(outbox.counters, counter) == 1
    async with opened(tmp_path, clock) as outbox:
        assert len(outbox) == 0


async def test_what_was_put_there_by_a_clock_that_was_ahead_counts_as_put_now(tmp_path: Path) -> None:
    """A deadline keeps its distance, and what is urgent does not wait for what came after it."""
    clock = Clock()
    clock.now += YEAR
    async with opened(tmp_path, clock) as outbox:
        await outbox.put("a", b"", urgency=clock.now, expires=clock.now + 10.0)
        await outbox.put("b", b"", urgency=clock.now)
    clock.now -= YEAR
    async with opened(tmp_path, clock) as outbox:
        await outbox.put("c", b"", urgency=clock.now + 1.0)
        entry, _ = await outbox.take()
        assert (entry.topic, entry.expires) == ("a", clock.now + 10.0)
        outbox.give_back(entry)
        clock.now += 30.0
        assert await drained(outbox) == ["b", "c"]
        assert outbox.counters.expired == 1


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
async def test_a_clock_that_jumps_drops_nothing(tmp_path: Path, jump: float) -> None:
    running, ahead = Clock(), 0.0
    clock = RunningTime(wall=lambda: running.now + ahead, monotonic=running)
    async with opened_store(tmp_path / "outbox.db", now=clock.now(), synchronous="off") as store:
        outbox = Outbox(store, "cloud", clock.now, SMALL)
        await outbox.put("a", b"", urgency=clock.now(), expires=clock.now() + 10.0)
        ahead = jump
        assert await drained(outbox) == ["a"]


class Model:
    """An outbox and what has to be in it, under random steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.inside: dict[str, tuple[float, float | None, float, bytes]] = {}
        self.leaving: dict[str, OutboxEntry] = {}
        self.dropped: set[str] = set()
        self.steps = 0
        self.stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        self.outbox = await self.stack.enter_async_context(opened(self.folder, self.clock))
        self.outbox.on_dropped = self.dropped.add

    async def restart(self, _number: int) -> None:
        """As after kill -9 between two commits: what was acknowledged as stored is there again."""
        await self.stack.aclose()
        self.leaving.clear()
        await self.start()

    async def put(self, number: int) -> None:
        self.steps += 1
        topic, payload = f"t{number % 6}", b"%d" % self.steps
        expires = self.clock.now + number if number % 3 == 0 else None
        try:
            await self.outbox.put(topic, payload, urgency=float(number), expires=expires)
        except OutboxFull:
            assert len(self.inside) == SMALL.messages
        else:
            self.inside[topic] = (float(number), expires, self.clock.now, payload)
            self.leaving.pop(topic, None)

    async def take(self, _number: int) -> None:
        due = {
            topic: one
            for topic, one in self.inside.items()
            if topic not in self.leaving and self._is_due(one)
        }
        if not due:
            return
        entry, payload = await self.outbox.take()
        assert payload == due[entry.topic][3]
        assert due[entry.topic][0] == min(one[0] for one in due.values())
        for topic in self.dropped & set(self.inside):
            assert not self._is_due(self.inside.pop(topic))
        self.dropped.clear()
        self.leaving[entry.topic] = entry

    async def give_back(self, _number: int) -> None:
        for entry in self.leaving.values():
            self.outbox.give_back(entry)
        self.leaving.clear()

    async def acknowledge(self, _number: int) -> None:
        for topic in self.leaving:
            removed = self.outbox.remove(topic)
            assert removed is not None
            await removed
            del self.inside[topic]
        self.leaving.clear()

    async def wait(self, number: int) -> None:
        self.clock.now += number

    def _is_due(self, one: tuple[float, float | None, float, bytes]) -> bool:
        _, expires, put, _ = one
        return (expires is None or self.clock.now < expires) and self.clock.now - put <= SMALL.age


Step = Callable[[Model, int], Coroutine[Any, Any, None]]
STEPS: list[Step] = [
    Model.put,
    Model.put,
    Model.take,
    Model.give_back,
    Model.acknowledge,
    Model.wait,
    Model.restart,
]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 30)), max_size=30))
def test_nothing_is_lost_doubled_or_overtaken_whatever_happens(steps: list[tuple[Step, int]]) -> None:
    async def play(folder: Path) -> None:
        model = Model(folder)
        await model.start()
        try:
            for step, number in steps:
                await step(model, number)
                assert len(model.outbox) == len(model.inside)
        finally:
            await model.stack.aclose()

    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
