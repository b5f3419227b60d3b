"""Learns from what came of jobs: how long they run, here and elsewhere, and how long they wait elsewhere.

No I/O, no clock.
"""

from typing import Protocol

from broker.contract.messages import Report
from broker.contract.topics import CLOUD
from fog_node.jobs.job import Job
from fog_node.placement.surroundings import Surroundings


class Teller(Protocol):
    """The other node that tells what came of a job."""

    @property
    def address(self) -> str:
        """Its name in the mesh topics."""

    def known_until(self, then: float) -> float:
        """Until when everything that was handed over before `then` has arrived at the other broker."""


class Experience:
    """Corrects the figures by which places are chosen: from what really happened."""

    def __init__(self, known: Surroundings) -> None:
        self._known = known

    def ran_here(self, job: Job, seconds: float) -> None:
        """Learn from a job that was executed at this node."""
        self._known.estimates.observe(job.weight, job.kind, seconds)

    def told(self, job: Job, report: Report, teller: Teller, now: float) -> None:
        """Learn from what another node tells of a job that was handed to it."""
        outcome = report.outcome
        if outcome is None:
            return
        # Of the node that was chosen, even if it has handed the job on. Where that was the cloud, the wait is
        # that of the one gateway which had the job.
        if teller.address == CLOUD:
            board, node = self._known.cloud, outcome.route[-1] if outcome.route else outcome.node
        else:
            board, node = self._known.board, teller.address
        if report.wait_ms is not None:
            known_until = teller.known_until(now - (board.round_trip(node) or 0.0))
            board.told(node, job.weight, report.wait_ms / 1e3, now, known_until=known_until)
        if outcome.ok:
            self._known.estimates.observe(job.weight, job.kind, outcome.ran_ms / 1e3, place=teller.address)
