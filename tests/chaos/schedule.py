"""Which fault happens when: seeded, and every kind as often as any other. No I/O."""

import enum
import random
from collections.abc import Collection
from dataclasses import dataclass


class Fault(enum.StrEnum):
    """What is done to the system: kill -9 where nothing else is said.

    Told to stop is SIGTERM; the service is the node with every process below it, as a service manager has it.
    """

    CHILD = "a worker's child"
    WORKER = "a whole worker"
    REDIS = "Redis"
    NODE = "the fog node"
    NODE_STOP = "the fog node is told to stop"
    NODE_SERVICE = "its whole service is told to stop"
    CLOUD = "the cloud node"
    CLOUD_SERVICE = "the cloud's service is told to stop"
    CLOUD_WORKER = "a worker of the cloud"
    LINK = "the link to the cloud is cut"
    ENGINE = "the Mosquitto engine"
    NEIGHBOUR = "a neighbour holding tasks"
    NEIGHBOUR_SERVICE = "a neighbour's service is told to stop"


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault, and the seconds to wait before it."""

    fault: Fault
    pause: float


def schedule(kinds: Collection[Fault], count: int, *, interval: float, seed: int) -> list[Blow]:
    """Draw `count` faults, on average `interval` seconds apart; all kinds come before one comes again."""
    rng = random.Random(seed)
    drawn: list[Fault] = []
    while len(drawn) < count:
        drawn += rng.sample(sorted(kinds), len(kinds))
    return [Blow(fault, interval * rng.uniform(0.5, 1.5)) for fault in drawn[:count]]
