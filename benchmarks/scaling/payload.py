"""Payloads from 10 bytes to a megabyte, there and back."""

import contextlib

from benchmarks.contestants.node import ENGINES, node
from benchmarks.load.measured import Measured, Rounds, Work
from benchmarks.progress import progress
from benchmarks.report import Effort, Report, Table, figure
from benchmarks.throughput import DEVICES, WARM_UP

SIZES = {"10 B": 10, "1 kB": 1_000, "100 kB": 100_000, "1 MB": 1_000_000}
OUTSTANDING = {"10 B": 16, "1 kB": 16, "100 kB": 16, "1 MB": 4}
"""Few of the largest, or they would stand in the broker's queue, which is 8 MB long."""


def text_of(size: int) -> bytes:
    """A JSON string that is so many bytes long, quotes included."""
    return b'"' + b"x" * (size - 2) + b'"'


async def measure(effort: Effort) -> Report:
    """Measure each size, in rounds that take turns on one node for each engine."""
    found: dict[tuple[str, str], list[Measured]] = {}
    with progress("payload", len(ENGINES) * effort.rounds * len(SIZES)) as begin:
        for engine in ENGINES:
            async with node(engine, "--max-rate", "0") as started:
                with contextlib.closing(await started.generator(DEVICES)) as generator:
                    await generator.closed(Work(), outstanding=16, seconds=WARM_UP)
                    for number in range(effort.rounds):
                        for name, size in list(SIZES.items())[:: -1 if number % 2 else 1]:
                            begin(f"{engine}, {name}")
                            one = await generator.closed(
                                Work(payload=text_of(size)),
                                outstanding=OUTSTANDING[name],
                                seconds=effort.seconds,
                            )
                            found.setdefault((engine, name), []).append(one)
    rows = []
    for engine in ENGINES:
        for name, size in SIZES.items():
            rounds = Rounds(found[engine, name])
            latency = rounds.latency
            rows.append(
                (
                    engine,
                    name,
                    str(OUTSTANDING[name]),
                    figure(rounds.rate),
                    figure(rounds.rate * size / 1e6),
                    f"{latency.p50:.1f} / {latency.p99:.1f}",
                )
            )
    heading = "Payload (echo, so it comes back as it went)"
    columns = ("engine", "payload", "outstanding", "tasks/s", "MB/s each way", "p50 / p99, ms")
    return Report(name="payload", tables=[Table(heading, columns, rows)])
