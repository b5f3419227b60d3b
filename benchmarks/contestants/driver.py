"""What every contestant can be asked: so many tasks at once, or so many a second."""

from typing import Protocol

from benchmarks.load.measured import Measured, Work


class Driver(Protocol):
    """Submits tasks to one contestant and takes the results."""

    async def closed(self, work: Work, *, outstanding: int, seconds: float, warm_up: float = 0.3) -> Measured:
        """Keep so many tasks outstanding, and count for some seconds after the warm-up."""
        ...

    async def open(self, work: Work, *, rate: float, seconds: float, warm_up: float = 0.3) -> Measured:
        """Submit at a fixed rate, whatever is answered; latency counts from when a task was due."""
        ...
