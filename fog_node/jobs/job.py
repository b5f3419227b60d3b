"""A task that a node has taken on, from its acceptance to its outcome."""

import enum
from dataclasses import dataclass

from broker.contract.message import UserProperties
from broker.contract.topics import Weight
from fog_node.jobs.answer import Answer
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


class JobState(enum.Enum):
    """Where in its life a job is."""

    OPEN = enum.auto()
    """It is at this node: it waits, or a worker runs it."""
    AWAY = enum.auto()
    """It has left for another node."""
    ENDED = enum.auto()
    """Its outcome is known, or it was taken back. It never changes again."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One accepted task. What devices call a task is a job from its acceptance on.

    `(origin, device, id)` is its name: the device that sent it, and the node that handed it over, empty where
    the device is this node's own. `fingerprint` tells it from other jobs of that name: what a device asks
    for, or the other node's key. `key` is its row in the journal. `received` and
    `deadline` are seconds on this machine's monotonic clock; they are rebuilt after a restart. `correlation`
    and `user_properties` come back on its outcome. `answer` says how a rule has that told. `part` tells that
    it is a part of another job, or a step of splitting it. `attempts` counts the worker processes that
    died under it, `recalls` how often it was taken back from another node, `avoided` names the nodes that
    gave it back or fell silent. `why` and `predicted` (seconds) tell of its placement.
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
    fingerprint: bytes = b""
    deadline: float | None = None
    correlation: bytes | None = None
    user_properties: UserProperties = ()
    answer: Answer | None = None
    route: tuple[str, ...] = ()
    max_hops: int | None = None
    part: bool = False
    state: JobState = JobState.OPEN
    attempts: int = 0
    recalls: int = 0
    avoided: tuple[str, ...] = ()
    why: str = ""
    predicted: float = 0.0

    @property
    def name(self) -> tuple[str, str, str]:
        """What its sender calls it; there may be several of one name."""
        return (self.origin, self.device, self.id)

    @property
    def identity(self) -> tuple[str, str, str, bytes]:
        """What a second submission of the same task has in common with the first."""
        return (self.origin, self.device, self.id, self.fingerprint)

    @property
    def owner(self) -> str:
        """In whose account it stands: the device's, or, of a job handed over, the other node's."""
        return self.origin or self.device

    @property
    def kind(self) -> str:
        """The name under which its execution time is remembered: a part does not run as long as the whole."""
        return part_name(self.task) if self.part else self.task

    @property
    def own_part(self) -> bool:
        """Whether this node split it off: then its outcome goes to the whole, and not into the journal."""
        return self.part and not self.origin

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self.state is JobState.ENDED

    @property
    def away(self) -> bool:
        """Whether it has left for another node."""
        return self.state is JobState.AWAY

    @property
    def urgency(self) -> float:
        """When it should have started, on the monotonic clock: the least goes first."""
        return self.received + AGEING if self.deadline is None else self.deadline

    def remaining(self, now: float) -> float | None:
        """Seconds left until the deadline, negative when it has passed; None without a deadline."""
        return None if self.deadline is None else self.deadline - now

    def expired(self, now: float) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and now >= self.deadline

    def placed(self, why: str, predicted: float) -> None:
        """Note why it goes where it goes, and in how many seconds its outcome is expected."""
        self.why, self.predicted = why, predicted

    def leave(self) -> None:
        """Note that it has left for another node."""
        self.state = JobState.AWAY

    def come_back(self) -> None:
        """Note that another node gave it back. What that node says of it later does not count any more."""
        self.recalls += 1
        self.state = JobState.OPEN

    def avoid(self, node: str) -> None:
        """Do not place it at that node again."""
        self.avoided = (*self.avoided, node)

    def end(self) -> None:
        """Note that its outcome is known, or that nobody wants it any more. A second call does nothing."""
        self.state = JobState.ENDED
