"""Two nodes of one name, as with machines that were set up from one image."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from broker.contract.messages import NodeState, decode_state
from device_sim.client.listener import listen
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.phone import value
from tests.support.programs import Program, cloud_node, fog_node, running
from weighbridge import Device

TIMEOUT = 30.0


class States:
    """The last states told under one name at a broker, by the births of the lives that tell them."""

    def __init__(self) -> None:
        self.by_birth: dict[int, NodeState] = {}

    def hear(self, _topic: str, payload: bytes) -> None:
        state = decode_state(payload)
        self.by_birth[state.birth] = state

    def trouble_of(self, life: int) -> str:
        """What the life of that place in the order of their starts says is wrong."""
        births = sorted(self.by_birth)
        return "; ".join(self.by_birth[births[life]].trouble) if life < len(births) else ""


@contextlib.asynccontextmanager
async def states_at(url: str, node: str) -> AsyncIterator[States]:
    states = States()
    listening = asyncio.create_task(listen(url, [f"fog/nodes/{node}/state"], states.hear))
    try:
        yield states
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def answers(device: Device, weight: str, count: int) -> list[bool]:
    """Whether each of so many tasks has a value."""
    pending = [await device.send(weight, "sum", [number]) for number in range(count)]
    return [(await one.outcome(timeout=TIMEOUT)).ok for one in pending]


def away(node: Program) -> int:
    return node.stderr.count("broker_away")


async def test_of_two_at_one_broker_the_newer_works_and_the_older_goes_on_when_that_is_gone(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    engine = ("--engine", mosquitto.url)
    async with states_at(mosquitto.url, "pi") as states, Device(mosquitto.url, name="me") as device:
        with fog_node(tmp_path, *engine, name="pi", data="one") as older:
            assert all(await answers(device, "light", 5))
            with fog_node(tmp_path, *engine, name="pi", data="two") as newer:
                await eventually(lambda: "is at the broker" in states.trouble_of(1), TIMEOUT)
                await eventually(lambda: "this one waits" in states.trouble_of(0), TIMEOUT)
                assert all(await answers(device, "light", 20))
                assert older.stderr.count("node_name_taken") == newer.stderr.count("node_name_taken") == 1
                before = away(older), away(newer)
                assert all(await answers(device, "light", 20))
                newer.kill()
                assert all(await answers(device, "light", 10))
                assert (away(older), away(newer)) == before
            await eventually(lambda: not states.trouble_of(0), TIMEOUT)
            assert older.stderr.count("node_name_taken") == 1
            assert "node_name_free" in older.stderr


async def test_two_of_one_name_at_one_cloud_both_work_and_say_so(tmp_path: Path) -> None:
    with (
        cloud_node(tmp_path) as cloud,
        fog_node(tmp_path, "--cloud", cloud.url, name="pi", data="one") as one,
        fog_node(tmp_path, "--cloud", cloud.url, name="pi", data="two") as other,
    ):
        async with Device(one.url, name="me") as first, Device(other.url, name="me") as second:
            async with states_at(cloud.url, "pi") as states:
                await eventually(
                    lambda: all("the cloud's broker" in states.trouble_of(life) for life in (0, 1)), TIMEOUT
                )
            assert all(await answers(first, "heavy", 9) + await answers(second, "heavy", 9))
            # Their devices may have one name, too, and count their tasks alike.
            for number, device in enumerate((first, second)):
                pending = await device.send("heavy", "sum", [number], id="1")
                outcome = await pending.outcome(timeout=TIMEOUT)
                assert value(outcome) == number
        for node in (one, other):
            assert node.stderr.count("node_name_taken") == 1
            assert away(node) == 0


async def test_two_that_find_each_other_by_mdns_say_so_until_one_has_gone(tmp_path: Path) -> None:
    # Another run of the suite may be on the same network.
    name = f"pi-{os.getpid()}"
    with fog_node(tmp_path, "--discover", name=name, data="one") as stays, contextlib.ExitStack() as stack:
        goes = stack.enter_context(fog_node(tmp_path, "--discover", name=name, data="two"))
        async with states_at(stays.url, name) as here:
            async with states_at(goes.url, name) as there:
                await eventually(lambda: goes.url in here.trouble_of(0), TIMEOUT)
                await eventually(lambda: stays.url in there.trouble_of(0), TIMEOUT)
                assert goes.terminate() == 0
            await eventually(lambda: not here.trouble_of(0), TIMEOUT)
        assert stays.stderr.count("node_name_taken") == 1


async def test_of_two_gateways_of_one_name_the_older_goes_on_when_the_newer_is_gone(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    @contextlib.contextmanager
    def gateway(data: str) -> Iterator[Program]:
        place = ("--engine", mosquitto.url, "--data", str(tmp_path / data), "--workers", "heavy=1")
        with running("cloud_node", *place, folder=tmp_path) as node:
            yield node

    with (
        gateway("one") as older,
        fog_node(tmp_path, "--cloud", mosquitto.url, "--lease", "2") as fog,
        gateway("two") as newer,
    ):
        async with states_at(mosquitto.url, "cloud") as states, Device(fog.url, name="me") as device:
            await eventually(lambda: "this one waits" in states.trouble_of(0), TIMEOUT)
            assert all(await answers(device, "heavy", 5))
            newer.kill()
            assert all(await answers(device, "heavy", 5))
            await eventually(lambda: not states.trouble_of(0), TIMEOUT)
            assert older.stderr.count("node_name_taken") == 1
