"""The tasks that run as long as a node does: if one fails the node ends, and they end in good order."""

import asyncio
import contextlib
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")


class Background:
    """Owns tasks; leaving its `async with` cancels them one by one, the last started first.

    A TaskGroup would cancel all at once: Redis would be gone before the workers that still use it.
    """

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._tasks:
            await self.end(self._tasks[-1])

    def start(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Begin a task that is not expected to end by itself."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.append(task)
        return task

    async def end(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task and wait until it has cleaned up after itself."""
        self._tasks.remove(task)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def watch(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for `work`, but raise what a background task ends with as soon as one does."""
        main = asyncio.get_running_loop().create_task(work, name="main")
        try:
            await asyncio.wait({main, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done():
                    self._tasks.remove(task)
                    await task
            return await main
        finally:
            main.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await main
