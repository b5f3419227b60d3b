"""Where a task's time goes: the moments of one that is alone, and the processor time of few and many.

Alone: the moments at which a task passes the node's parts, taken in the node by wrappers around its methods,
in the worker by the task itself, at the device by this process; all on one clock. What the wrappers cost
shows beside a node that is not watched, in turns. Under load: processor time, of processes as the system
counts it, of the node's main thread by where it was found every two milliseconds of it.
"""

import asyncio
import bisect
import contextlib
import json
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestants.node import Node, node
from benchmarks.errors import BenchmarkFailed
from benchmarks.load.device import TIMEOUT, Device
from benchmarks.load.frames import PublishTemplate
from benchmarks.load.measured import Measured
from benchmarks.profiling import moment
from benchmarks.profiling.parts import Passage, legs, median_ms, passage
from benchmarks.progress import progress
from benchmarks.report import Bars, Effort, Report, Table
from benchmarks.throughput import DEVICES, ECHO, WARM_UP

OUTSTANDING = (1, 4, 16, 64)
SECONDS = 3.0
"""Of each part of the measurement, at full effort: some hundred tasks, and some thousand samples."""

TURNS = 4
"""How often the watched and the other node take turns."""


_WITHIN = "within the node:"


@dataclass(frozen=True, slots=True)
class Noted:
    """What a watched node has written."""

    moments: list[tuple[str, float]]
    main: dict[str, float]
    others: float


@dataclass(frozen=True, slots=True)
class Trip:
    """When one task was sent, ran, and was answered."""

    sent: float
    ran: float
    answered: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A watched node."""

    node: Node
    file: Path

    def begin(self) -> None:
        """Have it forget what it has noted."""
        self._process.send_signal(signal.SIGUSR1)

    async def noted(self) -> Noted:
        """Have it write what it has noted, and read it."""
        self.file.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR2)
        give_up = time.monotonic() + TIMEOUT
        while not self.file.exists():
            if time.monotonic() > give_up:
                raise BenchmarkFailed("the watched node has written nothing")
            await asyncio.sleep(0.05)
        written: dict[str, Any] = json.loads(self.file.read_text("utf-8"))
        return Noted([(name, at) for name, at in written["moments"]], written["main"], written["others"])

    @property
    def _process(self) -> Any:
        (process,) = self.node.parts.of("node")
        return process


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Watched]:
    """A node with the embedded broker that notes what passes it."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as folder:
        file = Path(folder) / "noted.json"
        module = ("benchmarks.profiling.node", str(file))
        options = ("--max-rate", "0", "--tasks", moment.__file__)
        async with node("embedded", *options, program=module) as started:
            yield Watched(started, file)


async def measure(effort: Effort) -> Report:
    """Profile a node with the embedded broker."""
    seconds = SECONDS * effort.seconds
    loaded: dict[int, tuple[Measured, Noted]] = {}
    with progress("profile", TURNS + len(OUTSTANDING)) as begin:
        async with watched() as one:
            async with node("embedded", "--tasks", moment.__file__) as unwatched:
                passages, plain = await _alone(one, unwatched, seconds, begin)
            with contextlib.closing(await one.node.generator(DEVICES)) as generator:
                for outstanding in OUTSTANDING:
                    begin(f"{outstanding} outstanding")
                    await generator.closed(ECHO, outstanding=outstanding, seconds=WARM_UP)
                    one.begin()
                    found = await generator.closed(
                        ECHO, outstanding=outstanding, seconds=seconds, warm_up=0.0, drain=False
                    )
                    loaded[outstanding] = found, await one.noted()
    return Report(
        name="profile",
        tables=[_way(passages, plain), _processor(loaded)],
        pictures=[
            Bars(
                name="profile",
                title="Where the time of one task goes when it is alone",
                x="milliseconds",
                values=legs(passages),
            )
        ],
    )


async def _alone(
    one: Watched, unwatched: Node, seconds: float, begin: Callable[[str], None]
) -> tuple[list[Passage], float]:
    """Send one task at a time to both in turns; what was noted of each, and the other's median in ms."""
    for port in (one.node.port, unwatched.port):
        await _one_by_one(port, WARM_UP)
    one.begin()
    trips: list[Trip] = []
    plain: list[Trip] = []
    for number in range(TURNS):
        begin(f"alone, turn {number + 1}")
        trips += await _one_by_one(one.node.port, seconds / TURNS)
        plain += await _one_by_one(unwatched.port, seconds / TURNS)
    moments = (await one.noted()).moments
    times = [at for _, at in moments]
    found = []
    for trip in trips:
        of_this = moments[bisect.bisect_left(times, trip.sent) : bisect.bisect_right(times, trip.answered)]
        found.append(passage(trip.sent, trip.ran, trip.answered, of_this))
    passages = [each for each in found if each is not None]
    if len(passages) < len(found) / 2:
        raise BenchmarkFailed(
            f"of {len(found)} tasks only {len(passages)} were seen in all parts of the node"
        )
    return passages, 1e3 * statistics.median(trip.answered - trip.sent for trip in plain)


async def _one_by_one(port: int, seconds: float) -> list[Trip]:
    """Send task after task for so long."""
    trips = []
    answered: asyncio.Future[bytes]
    device = await Device.connect(port, "alone", lambda _, outcome: answered.set_result(outcome))
    template = PublishTemplate("fog/tasks/light/moment/alone/", b"")
    until = time.monotonic() + seconds
    number = time.monotonic_ns() // 1_000_000 % 100_000_000
    while time.monotonic() < until:
        number += 1
        answered = asyncio.get_running_loop().create_future()
        sent = time.monotonic()
        device.send(template, number)
        async with asyncio.timeout(TIMEOUT):
            outcome = await answered
        trips.append(Trip(sent, float(json.loads(outcome)["value"]), time.monotonic()))
    device.close()
    return trips


def _way(passages: list[Passage], plain: float) -> Table:
    total = median_ms(passages, "sent", "answered")
    rows = [(name, f"{value:.2f}", f"{value / total:.0%}") for name, value in legs(passages).items()]
    rows += [
        ("in all", f"{total:.2f}", ""),
        (
            "meanwhile: received to stored, then PUBACK",
            f"{median_ms(passages, 'received', 'stored'):.2f}",
            "",
        ),
        ("in all, at a node that is not watched", f"{plain:.2f}", ""),
    ]
    heading = f"One task alone (medians of {len(passages):,}, synchronous=full, embedded broker)"
    return Table(heading, ("leg", "ms", "of all"), rows)


def _processor(loaded: dict[int, tuple[Measured, Noted]]) -> Table:
    spent = [_spent(*found) for found in loaded.values()]
    # In the order of the last column, after the processes.
    last = spent[-1]
    names = sorted(last, key=lambda name: (name.startswith(_WITHIN), -last[name]))
    rows = [(name, *(f"{one.get(name, 0.0):.0f}" for one in spent)) for name in names]
    rows.append(("*tasks a second, watched*", *(f"{found.rate:,.0f}" for found, _ in loaded.values())))
    columns = ("", *(f"{outstanding} outstanding" for outstanding in loaded))
    return Table("Processor time for one task, in microseconds (echo)", columns, rows)


def _spent(found: Measured, noted: Noted) -> dict[str, float]:
    """Microseconds a task of every process, and of the parts of the node's."""
    each = 1e6 / max(1, sum(name == "ended" for name, _ in noted.moments))
    spent = {part: found.cpu_us(part) for part in found.usage}
    spent |= {f"{_WITHIN} {name}": seconds * each for name, seconds in noted.main.items()}
    spent[f"{_WITHIN} journal's thread"] = noted.others * each
    return spent
