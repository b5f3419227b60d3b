"""Something that is under way, for code that must run without an event loop."""

from collections.abc import Callable
from typing import Any, Protocol


class Pending(Protocol):
    """Something that is under way, such as a write to the disk. Every asyncio.Future is one."""

    def done(self) -> bool:
        """Whether it is over, well or not."""

    def cancelled(self) -> bool:
        """Whether it was given up."""

    def exception(self) -> BaseException | None:
        """Why it failed; None where it did not. To be asked once it is done, and not cancelled."""

    def result(self) -> Any:
        """What came of it. To be asked once it is done and has not failed."""

    def add_done_callback(self, callback: Callable[[Any], object], /) -> object:
        """Have `callback` called with this once it is done."""
