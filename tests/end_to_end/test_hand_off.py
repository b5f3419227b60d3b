"""What follows a task on its way over three nodes, whose brokers are a Mosquitto of the node's own, the
embedded one, and a Mosquitto elsewhere.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest

from broker.contract.messages import Books, Progress
from device_sim.client.pending import Pending
from tests.support.eventually import eventually
from tests.support.hearing import hearing
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.mosquitto_clients import listening, publish
from tests.support.node_states import state_of
from tests.support.programs import Program, fog_node
from weighbridge import Device

TIMEOUT = 30.0
COUNT = 5
NAMES = ("fog-a", "fog-b", "fog-c")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Program]]:
    """Neighbours of each other, with one medium slot each; a task goes from fog-a to fog-b, then to fog-c."""
    folder = tmp_path_factory.mktemp("onward")
    common = ("--policy", "tests.end_to_end.onward_policy:onward", "--workers", "medium=1", "--drain", "1")
    with ExitStack() as stack:
        elsewhere = stack.enter_context(Mosquitto(folder))
        engines = {"fog-a": "mosquitto", "fog-b": "embedded", "fog-c": elsewhere.url}
        ports = {"fog-a": free_port(), "fog-b": free_port(), "fog-c": elsewhere.port}
        started = {}
        for name, engine in engines.items():
            urls = [f"mqtt://127.0.0.1:{port}" for one, port in ports.items() if one != name]
            links = [word for url in urls for word in ("--neighbour", url)]
            listen = [] if engine == elsewhere.url else ["--listen", f"127.0.0.1:{ports[name]}"]
            options = (*common, *links, "--engine", engine, *listen)
            started[name] = stack.enter_context(fog_node(folder, *options, name=name))
        for node in started.values():
            asyncio.run(eventually(lambda node=node: node.stderr.count("the node is new") >= 2, TIMEOUT))  # type: ignore[misc]
        yield started


@contextlib.asynccontextmanager
async def hearing_each(nodes: dict[str, Program]) -> AsyncIterator[dict[str, Counter[str]]]:
    """What is published at each broker, counted by kind and, between nodes, by whom it is for."""

    def kind(topic: str) -> str:
        levels = topic.split("/")
        return "/".join(levels[:4] if levels[1] in {"mesh", "nodes"} else levels[:2])

    async with contextlib.AsyncExitStack() as stack:
        heard = {
            name: await stack.enter_async_context(hearing(node.url, ["fog/#"], kind))
            for name, node in nodes.items()
        }
        await eventually(lambda: all(heard.values()), TIMEOUT)
        yield heard


async def send(device: Device, task: str, value: Any, *, hops: int) -> Pending:
    return await device.send("medium", task, {"$args": [value], "$max_hops": hops}, progress=True)


async def step_at(pending: Pending, stage: str, node: str) -> list[Progress]:
    """The steps of a task until it is that far at a node."""
    seen = []
    async with asyncio.timeout(TIMEOUT):
        async for step in pending.progress():
            seen.append(step)
            if (step.stage, step.node) == (stage, node):
                return seen
    raise AssertionError(f"it ended before: {seen}")


async def cancelled(device: Device, pending: Pending) -> bool:
    await device.cancel(pending.id)
    outcome = await pending.outcome(timeout=TIMEOUT)
    return not isinstance(outcome.error, msgspec.UnsetType) and outcome.error.code == "cancelled"


def books(node: Program) -> Books:
    """The books of a node, as it tells them next."""
    return state_of(node, later=1).books


@pytest.mark.parametrize(
    ("hops", "route"),
    [
        (0, ("fog-a",)),
        (1, ("fog-b", "fog-a")),
        (2, ("fog-c", "fog-b", "fog-a")),
        (16, ("fog-c", "fog-b", "fog-a")),
    ],
)
async def test_a_task_goes_no_farther_than_it_may_and_nowhere_twice(
    nodes: dict[str, Program], hops: int, route: tuple[str, ...]
) -> None:
    async with Device(nodes["fog-a"].url, name=f"hops-{hops}") as device:
        outcome = await (await send(device, "echo", "hello", hops=hops)).outcome(timeout=TIMEOUT)
    assert (outcome.ok, outcome.route, outcome.node) == (True, route, route[0])
    if hops:
        # Each node says it of the next; the device hears its own.
        assert outcome.why == "as far as it may go"
        assert isinstance(outcome.predicted_ms, float)


async def test_nothing_goes_round_among_three_brokers(nodes: dict[str, Program]) -> None:
    """Tasks go from fog-a by fog-b to fog-c; each message is seen at one broker, and once."""
    # A device is told of three: that it is accepted, placed and running; a node of two, and of the outcome.
    steps = 3
    began = time.monotonic()
    async with Device(nodes["fog-a"].url, name="counter") as device, hearing_each(nodes) as heard:
        pending = [await send(device, "light_power", 80_000, hops=2) for _ in range(COUNT)]
        assert {(await one.outcome(timeout=TIMEOUT)).node for one in pending} == {"fog-c"}
        # What went round would have come by the time that each node has told its state twice more.
        told = {name: heard[name][f"fog/nodes/{name}/state"] for name in NAMES}
        await eventually(
            lambda: all(heard[name][f"fog/nodes/{name}/state"] > told[name] + 1 for name in NAMES)
        )
    seconds = time.monotonic() - began
    for name in NAMES:
        # As often as time passes: its state, and how far two neighbours find it to be. Some were retained.
        counts = {
            topic: heard[name].pop(f"fog/{topic}")
            for topic in (f"nodes/{name}/state", f"nodes/{name}/catalog", f"mesh/{name}/cancel")
        }
        assert counts[f"nodes/{name}/state"] <= seconds + 3, counts
        assert counts[f"mesh/{name}/cancel"] <= 2 * (seconds + 2), counts
    assert heard == {
        "fog-a": {"fog/tasks": COUNT, "fog/progress": steps * COUNT, "fog/results": COUNT},
        "fog-b": {"fog/mesh/fog-b/tasks": COUNT, "fog/mesh/fog-a/results": steps * COUNT},
        "fog-c": {"fog/mesh/fog-c/tasks": COUNT, "fog/mesh/fog-b/results": steps * COUNT},
    }


@pytest.mark.parametrize("name", ["fog-a", "fog-b"])
@pytest.mark.parametrize(("weight", "wait_ms"), [("medium", 0.0), ("heavy", 3_600_000.0)])
def test_a_node_tells_what_a_task_would_wait_there(
    nodes: dict[str, Program], name: str, weight: str, wait_ms: float
) -> None:
    """Without workers for it, an hour."""
    with listening(nodes[name].port, "fog/mesh/tester/waits/k-1", count=1) as answers:
        publish(nodes[name].port, f"fog/mesh/{name}/asks/{weight}/sleep/tester/k-1", "")
        assert msgspec.json.decode(answers.wait()[0]) == {"wait_ms": wait_ms}


async def test_progress_follows_a_task_over_two_hops(nodes: dict[str, Program]) -> None:
    async with Device(nodes["fog-a"].url, name="watcher") as device:
        pending = await send(device, "sleep", 1.5, hops=2)
        seen = await step_at(pending, "running", "fog-c")
        assert [(one.stage, one.node) for one in seen[:2]] == [("accepted", "fog-a"), ("placed", "fog-b")]
        (percent,) = [one.percent async for one in pending.progress() if one.percent is not None][:1]
        assert 0 < percent < 100


async def test_cancel_follows_a_task_that_runs_two_hops_away(nodes: dict[str, Program]) -> None:
    before = {name: (await asyncio.to_thread(books, nodes[name])).cancelled for name in NAMES}
    async with Device(nodes["fog-a"].url, name="canceller") as device:
        running = await send(device, "sleep", 60.0, hops=2)
        await step_at(running, "running", "fog-c")
        assert await cancelled(device, running)
        # The slot there is free again.
        after = await (await send(device, "echo", 1, hops=2)).outcome(timeout=TIMEOUT)
        assert after.node == "fog-c"
    for name in NAMES:
        assert (await asyncio.to_thread(books, nodes[name])).cancelled == before[name] + 1


async def test_a_task_that_waits_past_its_deadline_at_a_neighbour_is_expired_and_not_run(
    nodes: dict[str, Program],
) -> None:
    async with Device(nodes["fog-a"].url, name="hasty") as device:
        running = [await send(device, "sleep", 60.0, hops=1) for _ in range(2)]
        await step_at(running[0], "running", "fog-b")
        late = await device.send(
            "medium", "echo", {"$args": [1], "$max_hops": 1, "$deadline": 0.3}, progress=True
        )
        outcome = await late.outcome(timeout=TIMEOUT)
        assert not isinstance(outcome.error, msgspec.UnsetType)
        assert (outcome.error.code, outcome.node, outcome.ran_ms) == ("expired", "fog-b", 0.0)
        for one in running:
            assert await cancelled(device, one)


async def test_cancel_follows_a_task_that_waits_at_a_neighbour(nodes: dict[str, Program]) -> None:
    async with Device(nodes["fog-a"].url, name="queuer") as device:
        running = await send(device, "sleep", 60.0, hops=1)
        await step_at(running, "running", "fog-b")
        # Celery has the next one, and the ones after it wait in the node.
        waiting = [await send(device, "sleep", 60.0, hops=1) for _ in range(4)]
        await step_at(waiting[-1], "placed", "fog-b")
        for one in (*waiting, running):
            assert await cancelled(device, one)
        after = await (await send(device, "echo", 1, hops=1)).outcome(timeout=TIMEOUT)
        assert after.node == "fog-b"
    assert (await asyncio.to_thread(books, nodes["fog-b"])).open == 0
