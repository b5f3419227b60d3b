"""Tells the world about a node: its state every second, its catalog when it changes; both retained."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import structlog

from broker.contract.engine import Engine
from broker.contract.message import Message
from broker.contract.messages import encode
from broker.contract.topics import CatalogTopic, StateTopic
from broker.errors import EngineUnavailable
from broker.links.link import Link
from broker.programs.version import program_version
from fog_node.placement.board import STATE_INTERVAL
from fog_node.state import StateReport, offline

log = structlog.get_logger()

CATALOG_EVERY = 30
"""States between two looks at whether the catalog has changed: how long each task takes is a part of it."""


def last_will(node: str, birth: int) -> Message:
    """The last will of one life of a node."""
    payload = encode(offline(node, program_version(), birth))
    return Message(topic=str(StateTopic(node)), payload=payload, qos=1, retain=True)


@dataclass(slots=True)
class _Broker:
    """A broker that is told of the node, and the catalog that it has. `tell` says whether it is there."""

    tell: Callable[[str, bytes], bool]
    catalog: bytes = b""
    there: bool = False


class Announcer:
    """Publishes one node's state and catalog at its own broker, and at the cloud's if it has a link.

    `redis_away` tells whether Redis cannot be reached now, `further_trouble` what else is wrong.
    """

    def __init__(
        self,
        about: StateReport,
        *,
        engine: Engine,
        cloud: Link | None,
        redis_away: Callable[[], bool],
        further_trouble: Callable[[], list[str]],
    ) -> None:
        self._about = about
        self._engine = engine
        self._cloud = cloud
        self._redis_away = redis_away
        self._further_trouble = further_trouble
        self._brokers = [_Broker(self._tell_here)]
        if cloud is not None:
            self._brokers.append(_Broker(cloud.tell))

    async def run(self) -> NoReturn:
        """Publish until cancelled. The node starts this just before its ready line."""
        count = 0
        while True:
            state = self._about.state(denied=self._engine.denied, trouble=tuple(self._trouble()))
            self._tell_state(encode(state))
            if count % CATALOG_EVERY == 0 or any(one.there and not one.catalog for one in self._brokers):
                self.tell_catalog()
            count += 1
            await asyncio.sleep(STATE_INTERVAL)

    def leave(self) -> None:
        """Say that the node is going."""
        self._tell_state(encode(self._about.will()))

    def _tell_state(self, state: bytes) -> None:
        for broker in self._brokers:
            broker.there = broker.tell(str(StateTopic(self._about.node)), state)
            if not broker.there:
                # When it is back it may have lost what it was told before.
                broker.catalog = b""

    def tell_catalog(self) -> None:
        """Publish the catalog where another one was told before."""
        catalog = encode(self._about.catalog())
        for broker in self._brokers:
            new = broker.there and broker.catalog != catalog
            if new and broker.tell(str(CatalogTopic(self._about.node)), catalog):
                broker.catalog = catalog

    def _trouble(self) -> list[str]:
        trouble = []
        if not self._engine.connected:
            trouble.append("the MQTT broker cannot be reached")
        if self._redis_away():
            trouble.append("Redis cannot be reached")
        if self._cloud is not None and not self._cloud.connected:
            trouble.append("the cloud cannot be reached")
        return [*trouble, *self._further_trouble(), *self._engine.trouble]

    def _tell_here(self, topic: str, payload: bytes) -> bool:
        try:
            self._engine.publish(Message(topic=topic, payload=payload, retain=True))
        except EngineUnavailable as fault:
            log.debug("state_not_published", reason=str(fault))
            return False
        return True
