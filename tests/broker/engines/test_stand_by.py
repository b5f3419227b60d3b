"""Nodes of one name at a real Mosquitto: by MQTT 5, and by 3.1.1 where a broker never says why it closes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Self

import pytest

from broker.client import ClientSettings
from broker.contract.message import Message
from broker.contract.messages import NodeState, encode
from broker.contract.topics import StateTopic
from broker.engines.external import ExternalEngine
from broker.errors import EngineUnavailable
from broker.links.link import Link
from broker.namesakes import Namesakes
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto

TIMEOUT = 30.0
TASKS, CANCELS = "fog/tasks/#", "fog/cancel/#"


@pytest.fixture(params=[True, False], ids=["mqtt5", "mqtt3.1.1"])
def mqtt5(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class Life:
    """One of the nodes named `pi`, as far as its broker sees it: it tells its state, and takes tasks."""

    def __init__(self, url: str, birth: int, *, mqtt5: bool) -> None:
        self.namesakes = Namesakes("pi", birth)
        settings = ClientSettings(client_id="fog-node-pi", mqtt=None if mqtt5 else 3)
        self.engine = ExternalEngine(url, node="pi", settings=settings, namesakes=self.namesakes)
        self.heard: list[bytes] = []
        self._state = encode(NodeState(node="pi", online=True, version="", birth=birth))

    async def __aenter__(self) -> Self:
        await self.engine.start(self._take, [TASKS, CANCELS])
        self._telling = asyncio.create_task(self._tell())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._telling.cancel()
        await asyncio.gather(self._telling, return_exceptions=True)
        await self.engine.stop()

    @property
    def waits(self) -> bool:
        return any("waits" in one for one in self.trouble)

    @property
    def trouble(self) -> list[str]:
        return self.namesakes.trouble(asyncio.get_running_loop().time())

    def _take(self, message: Message) -> None:
        self.heard.append(message.payload)

    async def _tell(self) -> None:
        while True:
            # Between two connections nobody can take it.
            with contextlib.suppress(EngineUnavailable):
                self.engine.publish(Message(topic=str(StateTopic("pi")), payload=self._state, retain=True))
            await asyncio.sleep(0.2)


@pytest.fixture
async def device(mosquitto: Mosquitto) -> AsyncIterator[Link]:
    link = Link(mosquitto.url, node="device")
    link.start(lambda _: None, [])
    await link.wait_connected()
    yield link
    await link.stop()


async def settled(waits: Life, works: Life) -> None:
    await eventually(lambda: waits.waits and works.trouble and not works.waits, TIMEOUT)


async def test_the_newer_works_the_older_waits_and_nothing_is_lost(
    mosquitto: Mosquitto, device: Link, *, mqtt5: bool
) -> None:
    async with Life(mosquitto.url, 1, mqtt5=mqtt5) as older, AsyncExitStack() as stack:
        newer = await stack.enter_async_context(Life(mosquitto.url, 2, mqtt5=mqtt5))
        sent = [str(number).encode() for number in range(40)]
        for payload in sent[:20]:
            await device.send("fog/tasks/light/echo", payload)
        await settled(older, newer)
        for payload in sent[20:]:
            await device.send("fog/tasks/light/echo", payload)
        await eventually(lambda: {*older.heard, *newer.heard} == set(sent), TIMEOUT)
        assert [newer.heard.count(payload) for payload in sent[20:]] == [1] * 20
        assert not set(older.heard) & set(sent[20:])
        await device.send("fog/cancel/me/1", b"both")
        await eventually(lambda: b"both" in older.heard and b"both" in newer.heard)
        # What waits still answers for what it has accepted.
        done = older.engine.publish(Message(topic="fog/results/me/1", payload=b"", qos=1))
        assert done is not None
        await asyncio.wait_for(done, TIMEOUT)
        await stack.aclose()
        await eventually(lambda: not older.trouble, TIMEOUT)
        await device.send("fog/tasks/light/echo", b"after")
        await eventually(lambda: b"after" in older.heard, TIMEOUT)


async def test_one_that_comes_later_with_a_lower_number_leaves_the_work_to_the_other(
    mosquitto: Mosquitto, *, mqtt5: bool
) -> None:
    """Its clock may be wrong: what counts is that the two agree."""
    async with Life(mosquitto.url, 2, mqtt5=mqtt5) as works, Life(mosquitto.url, 1, mqtt5=mqtt5) as waits:
        await settled(waits, works)


async def test_of_three_one_works(mosquitto: Mosquitto, device: Link, *, mqtt5: bool) -> None:
    async with AsyncExitStack() as stack:
        lives = [
            await stack.enter_async_context(Life(mosquitto.url, birth, mqtt5=mqtt5)) for birth in (1, 2, 3)
        ]
        await eventually(lambda: [one.waits for one in lives] == [True, True, False], TIMEOUT)
        await device.send("fog/tasks/light/echo", b"x")
        await eventually(lambda: [one.heard for one in lives] == [[], [], [b"x"]])


async def test_a_stranger_under_the_nodes_identifier_does_not_keep_it_away(
    mosquitto: Mosquitto, device: Link
) -> None:
    async with Life(mosquitto.url, 1, mqtt5=True) as node:
        stranger = ExternalEngine(mosquitto.url, node="pi")
        await stranger.start(lambda _: None, [])
        await eventually(lambda: node.namesakes.waits_at is not None, TIMEOUT)
        await stranger.stop()
        await eventually(lambda: node.namesakes.waits_at is None, TIMEOUT)
        await device.send("fog/tasks/light/echo", b"x")
        await eventually(lambda: node.heard == [b"x"], TIMEOUT)
        assert not node.trouble
