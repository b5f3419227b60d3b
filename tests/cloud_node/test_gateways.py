"""Several gateways behind one broker, with workers on machines of their own."""

import asyncio
import contextlib
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from broker.contract.messages import Outcome
from broker.contract.topics import ResultTopic, Weight
from fog_node.commands.asking import AskingSettings
from fog_node.commands.inspect import peers
from fog_node.inspection.control import AskPeers, PeerLine, Peers, ask
from tests.support.eventually import eventually
from tests.support.hearing import hearing
from tests.support.mosquitto import Mosquitto
from tests.support.node_states import wait_for_state
from tests.support.programs import Program, fog_node, running
from tests.support.redis import private_redis
from weighbridge import Device, Pending

TIMEOUT = 60.0
TASKS = 16
NAMES = ("gate-1", "gate-2")
RESULTS = ["fog/results/+/+"]


@dataclass(frozen=True)
class Cloud:
    """Two gateways on one Mosquitto; `machine` works for the second one beside its own worker."""

    folder: Path
    broker: Mosquitto
    redis: str
    gateways: dict[str, Program]
    machine: Program
    fog: Program


@contextlib.contextmanager
def gateway(folder: Path, broker: Mosquitto, name: str, redis: str) -> Iterator[Program]:
    with running(
        *("cloud_node", "--name", name, "--engine", broker.url, "--data", str(folder / name)),
        *("--workers", "heavy=1", "--redis", redis),
        folder=folder,
    ) as node:
        yield node


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    tmp_path = tmp_path_factory.mktemp("cloud")
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path))
        redis = stack.enter_context(private_redis(tmp_path / "redis"))
        gateways = {name: stack.enter_context(gateway(tmp_path, broker, name, redis)) for name in NAMES}
        work = ("cloud_node", "worker", "--redis", redis, "--name", "gate-2", "--workers", "heavy=1")
        machine = Program(work, tmp_path)
        stack.callback(machine.close)
        fog = stack.enter_context(
            fog_node(tmp_path, "--cloud", broker.url, "--lease", "2", "--workers", "light=1,medium=1")
        )
        asyncio.run(eventually(lambda: all(f"gateway={name}" in fog.stderr for name in NAMES)))
        yield Cloud(tmp_path, broker, redis, gateways, machine, fog)


async def send(device: Device) -> list[Pending]:
    return [await device.send("heavy", "sleep", 0.4) for _ in range(TASKS)]


async def outcomes_of(pending: list[Pending]) -> list[Outcome]:
    return [await one.outcome(timeout=TIMEOUT) for one in pending]


async def test_the_cloud_is_shown_with_its_gateways(cloud: Cloud) -> None:
    async def found() -> PeerLine:
        (line,) = (await ask(cloud.folder / cloud.fog.name, AskPeers(), Peers)).peers
        return line

    line = await found()
    async with asyncio.timeout(TIMEOUT):
        # The machine that works for the second one says so a little later.
        while line.round_trip_ms is None or line.waits[Weight.HEAVY].slots < 3:
            await asyncio.sleep(0.1)
            line = await found()
    assert (line.name, line.state, line.link) == ("cloud", "there", True)
    assert [(one.name, one.state) for one in line.gateways] == [(name, "there") for name in NAMES]
    assert all(one.age_s is not None and one.age_s < TIMEOUT for one in (line, *line.gateways))
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        settings = AskingSettings(name=cloud.fog.name, data=cloud.folder / cloud.fog.name)
        await asyncio.to_thread(peers, settings)
    rows = [row.split()[0] for row in shown.getvalue().splitlines()]
    assert rows == ["node", "cloud", *NAMES]


async def test_what_devices_publish_at_the_clouds_broker_is_run_by_one_gateway(cloud: Cloud) -> None:
    async with hearing(cloud.broker.url, RESULTS) as heard, Device(cloud.broker.url, name="near") as device:
        pending = [await device.send("heavy", "echo", number) for number in range(8)]
        outcomes = await outcomes_of(pending)
        # Whoever else ran one would have said so by now, or before what comes last.
        last = [(await device.send("heavy", "echo", number)) for number in range(8)]
        outcomes += await outcomes_of(last)
        await eventually(lambda: len(heard) == len(outcomes))
        assert set(heard.values()) == {1}
    assert {one.node for one in outcomes} == set(NAMES)


def test_a_gateway_that_shares_nothing_says_that_another_is_there(tmp_path: Path) -> None:
    """The first has no name of its own, and takes all: what is published while it is away waits for it."""
    with (
        Mosquitto(tmp_path) as broker,
        private_redis(tmp_path / "redis") as redis,
        gateway(tmp_path, broker, "cloud", redis) as sole,
        gateway(tmp_path, broker, "gate-2", redis) as other,
    ):
        wait_for_state(sole, lambda found: any("gate-2" in one for one in found.trouble))
        assert "gateway_not_alone" in sole.stderr
        wait_for_state(other, lambda found: not found.trouble)


def test_gateways_share_the_work_and_what_a_dead_one_had_is_done_by_another(cloud: Cloud) -> None:
    """One gateway and one worker machine are killed amid the work; the gateway then comes back."""

    async def run() -> tuple[list[Outcome], Counter[str]]:
        async with hearing(cloud.fog.url, RESULTS) as heard, Device(cloud.fog.url, name="me") as device:
            pending = await send(device)
            first = [await one.outcome(timeout=TIMEOUT) for one in pending[:4]]
            cloud.gateways["gate-1"].kill()
            family = cloud.machine.descendants()
            cloud.machine.kill()
            psutil.wait_procs(family, timeout=5)
            outcomes = first + await outcomes_of(pending[4:])
            await asyncio.to_thread(restart)
            outcomes += await outcomes_of(await send(device))
            await eventually(lambda: len(heard) == len(outcomes))
            return outcomes, heard

    def restart() -> None:
        cloud.gateways["gate-1"] = again.enter_context(again_gateway)

    with contextlib.ExitStack() as again:
        again_gateway = gateway(cloud.folder, cloud.broker, "gate-1", cloud.redis)
        outcomes, heard = asyncio.run(run())
        assert "jobs_recovered" in cloud.gateways["gate-1"].stderr
        log = cloud.fog.stderr
    assert len(outcomes) == 2 * TASKS
    assert all(one.ok for one in outcomes), [one for one in outcomes if not one.ok]
    before, after = outcomes[:TASKS], outcomes[TASKS:]
    assert {one.node for one in before} == set(NAMES)
    assert {one.node for one in after} == set(NAMES)
    assert {str(ResultTopic("me", one.id)) for one in outcomes} == set(heard)
    assert set(heard.values()) == {1}
    assert "gateway_gone" in log
