"""A task that a node has taken on, from its acceptance to its outcome."""

import enum
from dataclasses import dataclass

from broker.contract.topics import Weight
from fog_tasks.declaration.splitting import part_name

AGEING = 30.0
"""Seconds after which a job without a deadline is as urgent as one whose deadline has come. Without it a
stream of urgent jobs could hold the job back for ever."""


class End(enum.StrEnum):
    """How a job can end; the names are the columns of the books."""

    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(slots=True, kw_only=True)
class Job:
    """One accepted task.

    `(origin, device, id)` is its identity: the device that sent it, and the node that handed it over,
    empty where the device is this node's own. `key` is its row in the journal. `received` and
    `deadline` are seconds on this machine's monotonic clock; they are rebuilt after a restart. `part` tells
    that it is a part of another, or a step of splitting it, `departed` that it was sent to another node,
    `recalls` how often it was taken back from one, `avoided` by which nodes it was given back or kept without
    a word, `ended` that its outcome is known. `why` and `predicted` (seconds) tell of its placement.
    """

    key: int
    origin: str
    device: str
    id: str
    weight: Weight
    task: str
    payload: bytes
    reply: str
    received: float
    deadline: float | None = None
    correlation: bytes | None = None
    route: tuple[str, ...] = ()
    max_hops: int | None = None
    attempts: int = 0
    departed: bool = False
    recalls: int = 0
    avoided: tuple[str, ...] = ()
    ended: bool = False
    part: bool = False
    why: str = ""
    predicted: float = 0.0

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a second submission of the same task has in common with the first."""
        return (self.origin, self.device, self.id)

    @property
    def owner(self) -> str:
        """In whose account it stands: the device's, or, of a job handed over, the other node's."""
        return self.origin or self.device

    @property
    def kind(self) -> str:
        """The name under which its execution time is remembered: a part does not run as long as the whole."""
        return part_name(self.task) if self.part else self.task

    @property
    def urgency(self) -> float:
        """The moment by which waiting jobs are ordered, here and on their way; the earliest goes first."""
        return self.received + AGEING if self.deadline is None else self.deadline

    def remaining(self, now: float) -> float | None:
        """Seconds left until the deadline, negative when it has passed; None without a deadline."""
        return None if self.deadline is None else self.deadline - now

    def expired(self, now: float) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and now >= self.deadline
