"""What brokers keep of nodes that are there no more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from broker.contract.message import Message
from broker.contract.messages import NodeState, decode_state, encode
from broker.contract.topics import CatalogTopic, StateTopic
from broker.engines.embedded.access import AllowAll
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.settings import EmbeddedSettings
from broker.engines.external import ExternalEngine
from broker.engines.ghosts import FORGOTTEN_AFTER, NODES_FILTERS, ghosts, is_of_a_node
from broker.links.link import Link
from broker.namesakes import Namesakes
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto

OLD, NEW = (str(StateTopic(name)) for name in ("old", "new"))
OLD_CATALOG, NEW_CATALOG = (str(CatalogTopic(name)) for name in ("old", "new"))


def test_a_node_is_as_old_as_the_last_word_of_it() -> None:
    heard = [(OLD, 1.0), (OLD_CATALOG, 2.0), (NEW, 9.0), (NEW_CATALOG, 1.0)]
    assert ghosts(heard, 5.0) == [OLD, OLD_CATALOG]
    assert ghosts(heard, 2.0) == []


def test_what_devices_say_is_not_of_a_node() -> None:
    assert is_of_a_node(OLD)
    assert not is_of_a_node("fog/tasks/light/echo/me/1")


def test_the_embedded_broker_forgets_a_node_a_day_after_its_last_state() -> None:
    now = 0.0
    core = BrokerCore(EmbeddedSettings(), AllowAll(), SessionStore(), running=lambda: now, clock=lambda: now)
    mine = str(StateTopic("the-node-itself"))

    def told(topic: str, sender: str = "link") -> None:
        core.router.route(RoutedMessage(topic, b"x", qos=0, born=now, retain=True, sender=sender))

    told(mine, sender="")
    for topic in (OLD, OLD_CATALOG, NEW, NEW_CATALOG, "home/lamp"):
        told(topic)
    now = FORGOTTEN_AFTER - 1
    core.router.forget_nodes()
    assert len(core.router.retained) == 6
    told(NEW)
    now = FORGOTTEN_AFTER + 1
    core.router.forget_nodes()
    assert {one.topic for one in core.router.retained.match("#")} == {mine, NEW, NEW_CATALOG, "home/lamp"}


@contextlib.asynccontextmanager
async def retained(url: str) -> AsyncIterator[dict[str, bytes]]:
    """What a broker keeps under `fog/nodes/`, as somebody sees it who comes now and stays."""
    kept: dict[str, bytes] = {}

    def hear(message: Message) -> None:
        kept[message.topic] = message.payload

    watcher = ExternalEngine(url, node="watcher", namesakes=Namesakes("watcher", 1))
    watcher.client.start(hear, NODES_FILTERS)
    await watcher.client.wait_connected(10.0)
    try:
        yield kept
    finally:
        await watcher.client.stop()


async def test_a_node_clears_at_its_broker_what_is_left_of_those_that_are_gone(tmp_path: Path) -> None:
    """The one that lives tells its state every second and its catalog once."""
    broker = Mosquitto(tmp_path)
    broker.start()
    alive = Link(broker.url, node="new")
    node = ExternalEngine(broker.url, node="me", namesakes=Namesakes("me", 1), forgotten_after=3.0)
    try:
        alive.start(lambda _: None, [])
        await alive.wait_connected()
        for topic in (OLD, OLD_CATALOG, NEW_CATALOG):
            assert alive.tell(topic, b"{}")
        await node.start(lambda _: None, [])
        async with retained(broker.url) as kept:
            await eventually(lambda: {OLD, OLD_CATALOG, NEW_CATALOG} <= set(kept))

            def gone() -> bool:
                alive.tell(NEW, encode(NodeState(node="new", online=True, version="", birth=1)))
                return kept[OLD] == kept[OLD_CATALOG] == b""

            await eventually(gone, 30.0)
        async with retained(broker.url) as kept:
            await eventually(lambda: {NEW, NEW_CATALOG} <= set(kept))
            assert OLD not in kept
            assert decode_state(kept[NEW]).online
    finally:
        await node.stop()
        await alive.stop()
        await asyncio.to_thread(broker.stop)
