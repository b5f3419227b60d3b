"""The places that jobs go to: this node's workers, a neighbour, the cloud. No I/O, no clock."""

from collections.abc import Iterable
from typing import Any, Protocol

from broker.contract.messages import ErrorCode, Stage
from broker.errors import OutboxFull
from fog_node.jobs.job import Job
from fog_node.placement.placer import Placer
from fog_node.placement.policies.situation import Decision, Place
from fog_node.replies.outcomes import unroutable
from fog_node.routing.listener import Listener, ProgressTeller


class Workers(Protocol):
    """The workers of this node."""

    def submit(self, job: Job) -> None:
        """Let a job run as soon as its turn comes."""

    def withdraw(self, job: Job) -> None:
        """Take a job back, whether it waits or runs; nothing more is reported of it."""


class HandOffs(Protocol):
    """The hand-offs to one other node."""

    @property
    def address(self) -> str:
        """The other node's name in the mesh topics."""

    def submit(self, job: Job) -> None:
        """Hand a job over as soon as the other broker can be reached. Raises OutboxFull."""

    def withdraw(self, job: Job) -> None:
        """Take a job back; nothing more is reported of it."""


class Mesh(Protocol):
    """The hand-offs to all neighbours."""

    def peer(self, node: str) -> HandOffs | None:
        """Those to a neighbour; None if it is none any more."""

    def peers(self) -> Iterable[HandOffs]:
        """Those to every neighbour."""


class Destinations:
    """Sends jobs to the places that were chosen for them, and takes them back from there."""

    def __init__(
        self,
        placer: Placer,
        listener: Listener[Any],
        progress: ProgressTeller,
        *,
        workers: Workers,
        mesh: Mesh,
        cloud: HandOffs | None,
    ) -> None:
        self._placer = placer
        self._listener = listener
        self._progress = progress
        self._workers = workers
        self._mesh = mesh
        self._cloud = cloud

    def send(self, job: Job, decision: Decision, now: float) -> None:
        """Carry a decision out."""
        match decision.place:
            case Place.HERE:
                self._placer.placed(job, decision, now)
                self._workers.submit(job)
            case Place.NEIGHBOUR:
                self._hand_over(job, decision, self._mesh.peer(decision.node), now)
            case Place.CLOUD:
                self._hand_over(job, decision, self._cloud, now)
            case Place.NOWHERE:
                self._listener.fail(job, ErrorCode.UNROUTABLE, unroutable(job), now)

    def execute(self, job: Job) -> None:
        """Let a job run at this node, whatever the policy would say."""
        self._workers.submit(job)

    def recall(self, job: Job) -> None:
        """Take a job back from wherever it is; nothing more is heard of it."""
        self._workers.withdraw(job)
        if self._cloud is not None:
            self._cloud.withdraw(job)
        for peer in self._mesh.peers():
            peer.withdraw(job)

    def _hand_over(self, job: Job, decision: Decision, peer: HandOffs | None, now: float) -> None:
        if peer is None:
            # The neighbour was dropped while the job was stored.
            self._listener.lost(job, now)
            return
        try:
            peer.submit(job)
        except OutboxFull as fault:
            self._listener.fail(job, ErrorCode.OVERLOADED, str(fault), now)
        else:
            # This counts the job as the other node's. Not before it waits to leave: an earlier answer of that
            # node, which cannot contain the job, would be taken to contain it.
            self._placer.placed(job, decision, now)
            self._progress.tell(job, Stage.PLACED, node=peer.address)
