"""Tells the world about a node: its state every second, its catalog when it changes; both retained."""

import asyncio
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

import msgspec
import structlog

from broker.contract.engine import Engine, Message
from broker.contract.messages import Catalog, NodeState, encode
from broker.contract.topics import CatalogTopic, StateTopic
from broker.errors import EngineUnavailable
from broker.links.link import Link
from fog_node.execution.executor import Executor
from fog_node.jobs.books import Bookkeeper
from fog_node.placement.estimates import Estimates
from fog_node.placement.policies.original import backlog
from fog_tasks.declaration.registry import Registry

log = structlog.get_logger()

STATE_INTERVAL = 1.0
DEVICES = 50
"""Devices whose books stand in the state: those heard of last. It is sent every second, and read by small
devices too."""

CATALOG_EVERY = 30
"""States between two looks at whether the catalog's typical times have changed."""


def program_version() -> str:
    """The installed version of Weighbridge, or `unknown` in a tree that is not installed."""
    try:
        return version("weighbridge")
    except PackageNotFoundError:
        return "unknown"


def offline(node: str, birth: int) -> Message:
    """The last will of one life of a node."""
    state = NodeState(node=node, online=False, version=program_version(), birth=birth)
    return Message(topic=str(StateTopic(node)), payload=encode(state), qos=1, retain=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """What an announcer speaks about."""

    registry: Registry
    executor: Executor
    books: Bookkeeper
    estimates: Estimates
    birth: int
    is_cloud: bool
    url: str


class Announcer:
    """Publishes one node's state and catalog at its own broker, and at the cloud's if it has a link."""

    def __init__(self, node: str, subjects: Subjects, *, engine: Engine, cloud: Link | None) -> None:
        self._node = node
        self._about = subjects
        self._engine = engine
        self._cloud = cloud

    async def run(self) -> NoReturn:
        """Publish until cancelled."""
        catalog = b""
        count = 0
        while True:
            self._publish(str(StateTopic(self._node)), encode(self.state()))
            if count % CATALOG_EVERY == 0:
                latest = encode(self.catalog())
                if latest != catalog:
                    catalog = latest
                    self._publish(str(CatalogTopic(self._node)), catalog)
            count += 1
            await asyncio.sleep(STATE_INTERVAL)

    def leave(self) -> None:
        """Say that the node is going."""
        will = offline(self._node, self._about.birth)
        self._publish(will.topic, will.payload)

    def state(self) -> NodeState:
        """The node's state now."""
        return NodeState(
            node=self._node,
            online=True,
            version=program_version(),
            birth=self._about.birth,
            cloud=self._about.is_cloud,
            url=self._about.url,
            backlog_ms=round(1e3 * self._backlog(), 3),
            load=self._about.executor.load(),
            books=self._about.books.report(),
            devices=self._about.books.latest(DEVICES),
            denied=self._engine.denied,
            trouble=tuple(self._trouble()),
        )

    def _backlog(self) -> float:
        queued = {weight: load.queued for weight, load in self._about.executor.load().items()}
        return backlog(queued, self._about.estimates.original())

    def catalog(self) -> Catalog:
        """What the node offers now."""
        typical = self._about.estimates.typical_ms()
        entries = (
            msgspec.structs.replace(task.catalog_entry(), typical_ms=typical.get(name))
            for name, task in sorted(self._about.registry.items())
        )
        return Catalog(node=self._node, tasks=tuple(entries))

    def _trouble(self) -> list[str]:
        trouble = []
        if not self._engine.connected:
            trouble.append("the MQTT broker cannot be reached")
        if self._about.executor.redis_away:
            trouble.append("Redis cannot be reached")
        if self._cloud is not None and not self._cloud.connected:
            trouble.append("the cloud cannot be reached")
        trouble += [
            f"no worker for {w} tasks" for w, load in self._about.executor.load().items() if not load.slots
        ]
        return trouble

    def _publish(self, topic: str, payload: bytes) -> None:
        if self._cloud is not None:
            self._cloud.tell(topic, payload)
        try:
            self._engine.publish(Message(topic=topic, payload=payload, retain=True))
        except EngineUnavailable as fault:
            log.debug("state_not_published", reason=str(fault))
