"""The journal under random steps and restarts: every job is where its last step left it."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.contract.topics import Weight
from fog_node.jobs.job import End, Job
from fog_node.journal.journal import Journal, Remembered


class Model:
    """A journal, and what has to be in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 100.0
        self.life = AsyncExitStack()
        self.open: dict[int, Job] = {}
        self.ended: dict[int, tuple[Job, float, Remembered]] = {}
        self.keys: set[int] = set()

    async def start(self) -> None:
        opening = Journal.opened(
            self.path, synchronous="off", wall=lambda: self.now + 1000.0, monotonic=lambda: self.now
        )
        self.journal = await self.life.enter_async_context(opening)

    async def restart(self, _number: int) -> None:
        await self.life.aclose()
        await self.start()

    async def accept(self, number: int) -> None:
        key = self.journal.next_key()
        assert key not in self.keys
        self.keys.add(key)
        job = Job(
            fingerprint=b"some",
            key=key,
            origin="fog-b" if number % 2 else "",
            device="me",
            id=str(key),
            weight=Weight.LIGHT,
            task="sum",
            payload=b"%d" % number,
            reply=f"fog/results/me/{key}",
            received=self.now,
            deadline=self.now + number if number % 3 else None,
        )
        await self.journal.accept(job)
        self.open[key] = job

    async def finish(self, number: int) -> None:
        for key in sorted(self.open)[: number % 3]:
            job = self.open.pop(key)
            outcome = b"%d" % key
            await self.journal.finish(job, End.DONE, outcome)
            self.ended[key] = (job, self.now, Remembered(End.DONE, outcome))

    async def finish_again(self, number: int) -> None:
        """A second outcome changes nothing: the first one was told."""
        for job, _, _ in list(self.ended.values())[: number % 3]:
            await self.journal.finish(job, End.FAILED, b"another")

    async def forget(self, number: int) -> None:
        await self.journal.forget(float(number))
        self.ended = {key: one for key, one in self.ended.items() if one[1] >= self.now - number}

    async def wait(self, number: int) -> None:
        self.now += number

    def check(self) -> None:
        assert {job.key: job for job in self.journal.open_jobs()} == self.open
        for job, _, remembered in self.ended.values():
            assert self.journal.find(job) == remembered
        for job in self.open.values():
            assert self.journal.find(job) is None


Step = Callable[[Model, int], Coroutine[Any, Any, None]]
STEPS: list[Step] = [
    Model.accept,
    Model.accept,
    Model.finish,
    Model.finish_again,
    Model.forget,
    Model.wait,
    Model.restart,
]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 30)), max_size=25))
def test_every_job_is_where_its_last_step_left_it(steps: list[tuple[Step, int]]) -> None:
    async def play(folder: Path) -> None:
        model = Model(folder / "journal.db")
        await model.start()
        try:
            for step, number in steps:
                await step(model, number)
                model.check()
        finally:
            await model.life.aclose()

    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
