"""What the world hears of a node, at its own broker and at the cloud's."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from broker.contract.address import Address
from broker.contract.message import Message
from broker.contract.messages import Load, decode_catalog, decode_state
from broker.contract.topics import CatalogTopic, StateTopic, Weight
from broker.engines.embedded import EmbeddedEngine
from broker.engines.embedded.settings import EmbeddedSettings
from broker.engines.memory import MemoryEngine
from broker.errors import EngineUnavailable
from broker.links.link import Link
from fog_node.announcer import Announcer
from fog_node.jobs.books import Bookkeeper
from fog_node.placement.estimates import Estimates
from fog_node.state import StateReport
from fog_tasks.builtin import echo
from fog_tasks.declaration.registry import Registry
from tests.support.eventually import eventually

STATE, CATALOG = str(StateTopic("fog-a")), str(CatalogTopic("fog-a"))


class Broker(MemoryEngine):
    """The node's own broker, which may be `away`; `refused` counts what it was offered meanwhile."""

    away = False
    refused = 0

    @property
    def connected(self) -> bool:
        return not self.away

    def publish(self, message: Message) -> None:
        if self.away:
            self.refused += 1
            raise EngineUnavailable("it is away")
        super().publish(message)


class Loads:
    """A node without workers."""

    def load(self) -> Mapping[Weight, Load]:
        return {}


@pytest.fixture
def own() -> Broker:
    return Broker()


@pytest.fixture
async def cloud() -> AsyncIterator[EmbeddedEngine]:
    """The cloud's broker, not started yet, at a port of its own."""
    found = EmbeddedEngine(EmbeddedSettings(listen=Address("127.0.0.1", 0)))
    await found.start(lambda _: None, [])
    yield found
    await found.stop()


def announcer(own: Broker, cloud: Link | None = None, *, redis_away: bool = False) -> Announcer:
    about = StateReport(
        node="fog-a",
        version="1",
        birth=1,
        is_cloud=False,
        url="",
        tasks=Registry([echo]),
        queues=Loads(),
        books=Bookkeeper(),
        estimates=Estimates(),
    )
    return Announcer(about, engine=own, cloud=cloud, redis_away=lambda: redis_away, further_trouble=list)


def trouble(own: Broker) -> tuple[str, ...]:
    return decode_state(own.retained[STATE].payload).trouble


async def lose_everything(own: Broker) -> None:
    """Be away until the node has noticed, and come back empty."""
    own.away, before = True, own.refused
    await eventually(lambda: own.refused > before)
    own.retained.clear()
    own.away = False


async def test_state_and_catalog_are_there_for_whoever_comes_later(own: Broker) -> None:
    running = asyncio.create_task(announcer(own).run())
    await eventually(lambda: len(own.retained) == 2)
    running.cancel()
    assert decode_state(own.retained[STATE].payload).online
    assert [entry.task for entry in decode_catalog(own.retained[CATALOG].payload).tasks] == ["echo"]


async def test_a_catalog_that_has_not_changed_is_not_told_again(own: Broker) -> None:
    heard: list[str] = []
    own.listen("#", lambda message: heard.append(message.topic))
    running = asyncio.create_task(announcer(own).run())
    await eventually(lambda: heard.count(STATE) == 2)
    running.cancel()
    assert heard.count(CATALOG) == 1


async def test_a_broker_that_was_away_is_told_the_catalog_again(own: Broker) -> None:
    running = asyncio.create_task(announcer(own).run())
    for _ in range(2):
        await lose_everything(own)
        await eventually(lambda: CATALOG in own.retained)
    running.cancel()


async def test_what_cannot_be_reached_is_told(own: Broker) -> None:
    running = asyncio.create_task(
        announcer(own, Link("mqtt://127.0.0.1:1", node="fog-a"), redis_away=True).run()
    )
    await eventually(lambda: own.retained)
    running.cancel()
    assert trouble(own) == ("Redis cannot be reached", "the cloud cannot be reached")


async def test_a_node_that_goes_says_so(own: Broker) -> None:
    announcer(own).leave()
    assert not decode_state(own.retained[STATE].payload).online


async def test_the_cloud_is_told_as_soon_as_it_can_be_reached(own: Broker, cloud: EmbeddedEngine) -> None:
    heard: list[str] = []
    watching = Link(cloud.url, node="watcher")
    watching.start(lambda message: heard.append(message.topic), ["fog/nodes/#"])
    await watching.wait_connected()
    link = Link(cloud.url, node="fog-a")
    running = asyncio.create_task(announcer(own, link).run())
    await eventually(lambda: own.retained)
    link.start(lambda _: None, [])
    await eventually(lambda: {STATE, CATALOG} <= set(heard))
    running.cancel()
    await link.stop()
    await watching.stop()
