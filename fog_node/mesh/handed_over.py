"""The jobs of a node that are with another, or on their way there, and how both nodes call them.

No I/O, no clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from broker.contract.messages import HandOff
from broker.contract.topics import MeshCancelTopic, MeshTaskTopic
from fog_node.jobs.job import Job

NO_JOB = "nothing"
"""A key that no job has."""


@dataclass(slots=True)
class HandedOver:
    """A job that is with the other node or on its way there.

    `heard` is when there was last a word of it, and `holder` the name of the node that said it: one of the
    cloud's gateways. `arrived` tells that the other broker has acknowledged it, `asked` that it was handed
    over more than once, `leases` how many have passed without a word.
    """

    job: Job
    heard: float
    leases: int = 0
    holder: str = ""
    arrived: bool = False
    asked: bool = False


class HandedOverJobs:
    """All of them; `address` is the other node's in the mesh topics.

    A key is unique over the lives of the journal, and another one each time a job that was taken back
    is handed over again: what the other node says of the time before does not concern it.
    """

    def __init__(self, address: str, *, node: str, journal_life: str) -> None:
        self._address = address
        self._node = node
        self._life = journal_life
        self._jobs: dict[int, HandedOver] = {}
        # When those were handed over that the other broker has not acknowledged, the oldest first.
        self._leaving: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[HandedOver]:
        return iter(tuple(self._jobs.values()))

    def __contains__(self, job: Job) -> bool:
        return job.key in self._jobs

    def add(self, job: Job, now: float) -> None:
        """Note that a job is about to leave."""
        self._jobs[job.key] = HandedOver(job, now)
        self._leaving[job.key] = now

    def pop(self, job: Job) -> HandedOver | None:
        """Note that a job is there no more; None if it was not."""
        self._leaving.pop(job.key, None)
        return self._jobs.pop(job.key, None)

    def arrived(self, mesh_key: str) -> None:
        """Note that the other broker has acknowledged the one of this key."""
        away = self.find(mesh_key)
        if away is not None:
            away.arrived = True
            self._leaving.pop(away.job.key, None)

    def known_until(self, then: float) -> float:
        """Until when everything that was handed over before `then` has arrived."""
        return min(then, next(iter(self._leaving.values()), then))

    def find(self, mesh_key: str) -> HandedOver | None:
        """The one that both nodes call by this key."""
        life, _, rest = mesh_key.partition("-")
        key, _, recalls = rest.partition("-")
        away = self._jobs.get(int(key)) if life == self._life and key.isdecimal() else None
        return away if away is not None and recalls == str(away.job.recalls) else None

    def topics(self, away: HandedOver) -> list[str]:
        """Under which topics it may wait to leave."""
        addresses = dict.fromkeys((self._address, away.holder or self._address))
        return [self.topic(away.job, address) for address in addresses]

    def topic(self, job: Job, address: str) -> str:
        """Where a job is handed over."""
        return str(MeshTaskTopic(address, job.weight, job.task, self._node, self._key(job)))

    def cancel_topic(self, job: Job | None) -> str:
        """Where a job is taken back; None is one that there is not."""
        key = NO_JOB if job is None else self._key(job)
        return str(MeshCancelTopic(self._address, self._node, key))

    def hand_off(self, job: Job) -> HandOff:
        """What the other node is told of a job."""
        return HandOff(
            device=job.device,
            id=f"{job.id}~{job.recalls}" if job.recalls else job.id,
            payload=job.payload,
            route=(*job.route, self._node),
            max_hops=job.max_hops,
            part=job.part,
            user_properties=job.user_properties,
        )

    def _key(self, job: Job) -> str:
        return f"{self._life}-{job.key}-{job.recalls}"
