"""A real Mosquitto with clients that take nothing, or too little."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broker.contract.address import Address
from broker.contract.message import Message
from broker.engines.mosquitto import MosquittoEngine, MosquittoSettings
from broker.programs.pid_file import PidFile
from tests.broker.engines.embedded.raw_client import PUBLISH, Place
from tests.support.eventually import eventually
from tests.support.mosquitto_clients import TIMEOUT, require

QUEUED = 50


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[MosquittoEngine]:
    settings = MosquittoSettings(folder=tmp_path / "m", listen=Address("127.0.0.1", 0), queue_messages=QUEUED)
    made = MosquittoEngine(settings, node="n", pid_file=PidFile(tmp_path / "pid"))
    await made.start(lambda _: None, ["fog/tasks/#"])
    yield made
    await made.stop()


def port_of(engine: MosquittoEngine) -> int:
    return int(engine.url.rpartition(":")[2])


async def say(engine: MosquittoEngine, topics: range) -> None:
    for number in topics:
        taken = engine.publish(Message(topic=f"out/{number}", payload=b"x" * 300, qos=1))
        assert taken is not None
        await taken


async def test_what_finds_no_room_is_told(engine: MosquittoEngine) -> None:
    require("mosquitto_sub")
    command = [
        "mosquitto_sub",
        "-p",
        str(port_of(engine)),
        *("-i", "away", "-c", "-q", "1", "-t", "out/#", "-E"),
    ]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=TIMEOUT)
    await say(engine, range(2 * QUEUED))
    # Mosquitto counts anew every ten seconds.
    await eventually(lambda: engine.trouble)
    assert "Mosquitto has dropped" in engine.trouble[0]
    assert engine.denied == 0


async def test_a_device_that_never_acknowledges_what_is_too_large_for_it_gets_what_follows(
    engine: MosquittoEngine,
) -> None:
    async with AsyncExitStack() as stack:
        device = await Place(port_of(engine), stack).connect("small")
        assert await device.subscribe(("out/#", 1)) == [1]
        await say(engine, range(40))
        came = [device.read_publish(await device.expect(PUBLISH)).topic for _ in range(40)]
        assert came == [f"out/{number}" for number in range(40)]
