"""What a node tells the others of itself: its state and its catalog. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from broker.contract.messages import Catalog, Load, NodeState
from broker.contract.topics import Weight
from fog_node.jobs.books import Bookkeeper
from fog_node.placement.estimates import Estimates
from fog_node.placement.policies.original import backlog
from fog_tasks.declaration.task import Task

DEVICES = 50
"""Devices whose books stand in the state: those heard of last. It is sent every second, and read by small
devices too."""


class Loads(Protocol):
    """The queues of this node."""

    def load(self) -> Mapping[Weight, Load]:
        """What waits and runs, by weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateReport:
    """Puts a node's state together. `tasks` are those it offers, `birth` the number of this life."""

    node: str
    version: str
    birth: int
    is_cloud: bool
    url: str
    tasks: Mapping[str, Task[..., Any]]
    queues: Loads
    books: Bookkeeper
    estimates: Estimates

    def state(self, *, denied: int, trouble: tuple[str, ...]) -> NodeState:
        """The state now; `denied` publishes were not allowed, `trouble` is what else is wrong, in words."""
        load = dict(self.queues.load())
        queued = {weight: one.queued for weight, one in load.items()}
        missing = tuple(f"no worker for {weight} tasks" for weight, one in load.items() if not one.slots)
        return NodeState(
            node=self.node,
            online=True,
            version=self.version,
            birth=self.birth,
            cloud=self.is_cloud,
            url=self.url,
            backlog_ms=round(1e3 * backlog(queued, self.estimates.original()), 3),
            load=load,
            books=self.books.report(),
            devices=self.books.latest(DEVICES),
            denied=denied,
            trouble=trouble + missing,
        )

    def will(self) -> NodeState:
        """The state that the others are told when this life has ended."""
        return offline(self.node, self.version, self.birth)

    def catalog(self) -> Catalog:
        """What the node offers now."""
        typical = self.estimates.typical_ms()
        entries = (
            msgspec.structs.replace(task.catalog_entry(), typical_ms=typical.get(name))
            for name, task in sorted(self.tasks.items())
        )
        return Catalog(node=self.node, tasks=tuple(entries))


def offline(node: str, version: str, birth: int) -> NodeState:
    """The state of one life of a node that has ended."""
    return NodeState(node=node, online=False, version=version, birth=birth)
