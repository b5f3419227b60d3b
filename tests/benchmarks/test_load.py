"""The load generator's pure parts: percentiles, medians over rounds, due times, frames."""

import asyncio
import math
import time

import pytest

from benchmarks.load import frames
from benchmarks.load.measured import Measured, Rounds, Usage
from benchmarks.load.pacing import Pacer, regular_times
from benchmarks.percentiles import Latency, percentile
from benchmarks.scaling.payload import text_of
from broker.mqtt.framing import Framer
from broker.mqtt.packets import Connect, Publish


def measured(finished: int, *, p99: float = 1.0, cpu: float = 0.0) -> Measured:
    return Measured(
        finished=finished,
        seconds=2.0,
        latency=Latency(p50=1.0, p95=1.0, p99=p99),
        usage={"node": Usage(cpu, 1024)},
    )


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (95, 95), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_the_nearest_rank(percent: float, value: int) -> None:
    assert percentile(range(1, 101), percent) == value


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 50))


def test_latency_is_in_milliseconds_whatever_the_order() -> None:
    assert Latency.of([0.003, 0.001, 0.002]) == Latency(p50=2.0, p95=3.0, p99=3.0)


def test_one_bad_round_does_not_move_the_median() -> None:
    rounds = Rounds([measured(200, p99=5.0), measured(20, p99=500.0), measured(202, p99=6.0)])
    assert rounds.rate == 100.0
    assert rounds.latency.p99 == 6.0


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """A machine that is twice as slow in some round slows both of it."""
    ours = Rounds([measured(300), measured(150), measured(330)])
    theirs = Rounds([measured(100), measured(50), measured(100)])
    assert ours.times(theirs) == pytest.approx(3.0)
    assert ours.times(theirs, lambda one: one.latency.p99) == pytest.approx(1.0)


def test_processor_time_is_told_for_one_task() -> None:
    assert Rounds([measured(1_000, cpu=0.25)]).cpu_us("node") == pytest.approx(250)
    assert math.isnan(measured(0, cpu=0.25).cpu_us("node"))


def test_due_times_are_evenly_spaced_from_the_start() -> None:
    assert list(regular_times(4, 1.5, start=10.0)) == [10.0, 10.25, 10.5, 10.75, 11.0, 11.25]


async def test_what_is_due_is_called_back_for_with_its_time_and_never_early() -> None:
    due = list(regular_times(1_000, 0.05, start=time.monotonic()))
    called: list[float] = []
    early: list[float] = []

    def take(at: float) -> None:
        called.append(at)
        if time.monotonic() < at:
            early.append(at)

    async with asyncio.timeout(10):
        await Pacer(iter(due), take).run()
    assert called == due
    assert early == []


async def test_a_slow_receiver_delays_no_due_time() -> None:
    """The times that a late callback is told are those of the plan: its lateness counts as latency."""
    began = time.monotonic()
    called: list[float] = []

    def take(at: float) -> None:
        called.append(at)
        if len(called) == 1:
            time.sleep(0.03)

    async with asyncio.timeout(10):
        await Pacer(regular_times(500, 0.02, start=began), take).run()
    assert called == [began + number / 500 for number in range(10)]


@pytest.mark.parametrize("version", [4, 5])
def test_frames_of_one_run_are_split_as_they_were_written(version: int) -> None:
    template = frames.PublishTemplate("fog/tasks/light/echo/d/", text_of(1_000), version)
    stream = b"".join(template.frame(number, number) for number in (1, 2, 3))
    packets, used = frames.split(stream[:-1])
    assert len(packets) == 2
    packets, used = frames.split(stream)
    assert (len(packets), used) == (3, len(stream))
    first, start, end = packets[2]
    assert first & 0xF0 == frames.PUBLISH
    assert stream[start + 2 : end].startswith(b"fog/tasks/light/echo/d/000000003")
    framer = Framer(10_000, version=version)
    topic = "fog/tasks/light/echo/d/00000000"
    assert list(framer.feed(stream)) == [
        Publish(topic=f"{topic}{number}", payload=text_of(1_000), qos=1, packet_id=number)
        for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("version", [4, 5])
def test_a_devices_greeting_is_read_as_it_is_meant(version: int) -> None:
    (packet,) = Framer(10_000).feed(frames.connect_frame("d", version))
    assert packet == Connect(version=version, client_id="d")
