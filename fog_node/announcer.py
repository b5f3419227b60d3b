"""Tells the world about a node: its state every second, its catalog when it changes; both retained."""

import asyncio
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

import structlog

from broker.contract.engine import Engine
from broker.contract.message import Message
from broker.contract.messages import encode
from broker.contract.topics import CatalogTopic, StateTopic
from broker.errors import EngineUnavailable
from broker.links.link import Link
from fog_node.placement.board import STATE_INTERVAL
from fog_node.state import StateReport, offline

log = structlog.get_logger()

CATALOG_EVERY = 30
"""States between two looks at whether the catalog's typical times have changed."""


def program_version() -> str:
    """The installed version of Weighbridge, or `unknown` in a tree that is not installed."""
    try:
        return version("weighbridge")
    except PackageNotFoundError:
        return "unknown"


def last_will(node: str, birth: int) -> Message:
    """The last will of one life of a node."""
    payload = encode(offline(node, program_version(), birth))
    return Message(topic=str(StateTopic(node)), payload=payload, qos=1, retain=True)


class Announcer:
    """Publishes one node's state and catalog at its own broker, and at the cloud's if it has a link.

    `redis_away` tells whether Redis cannot be reached now.
    """

    def __init__(
        self,
        about: StateReport,
        *,
        engine: Engine,
        cloud: Link | None,
        redis_away: Callable[[], bool],
    ) -> None:
        self._about = about
        self._engine = engine
        self._cloud = cloud
        self._redis_away = redis_away

    async def run(self) -> NoReturn:
        """Publish until cancelled. The node starts this just before its ready line."""
        catalog = b""
        count = 0
        while True:
            state = self._about.state(denied=self._engine.denied, trouble=tuple(self._trouble()))
            self._publish(str(StateTopic(self._about.node)), encode(state))
            if count % CATALOG_EVERY == 0:
                latest = encode(self._about.catalog())
                if latest != catalog:
                    catalog = latest
                    self._publish(str(CatalogTopic(self._about.node)), catalog)
            count += 1
            await asyncio.sleep(STATE_INTERVAL)

    def leave(self) -> None:
        """Say that the node is going."""
        self._publish(str(StateTopic(self._about.node)), encode(self._about.will()))

    def _trouble(self) -> list[str]:
        trouble = []
        if not self._engine.connected:
            trouble.append("the MQTT broker cannot be reached")
        if self._redis_away():
            trouble.append("Redis cannot be reached")
        if self._cloud is not None and not self._cloud.connected:
            trouble.append("the cloud cannot be reached")
        return trouble

    def _publish(self, topic: str, payload: bytes) -> None:
        if self._cloud is not None:
            self._cloud.tell(topic, payload)
        try:
            self._engine.publish(Message(topic=topic, payload=payload, retain=True))
        except EngineUnavailable as fault:
            log.debug("state_not_published", reason=str(fault))
