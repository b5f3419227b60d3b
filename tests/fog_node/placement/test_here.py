"""What a task would find at this node."""

from broker.contract.topics import Weight
from fog_node.jobs.waits import Queue
from fog_node.placement.estimates import PRIORS, Estimates
from fog_node.placement.here import NEVER, Here
from fog_node.placement.surroundings import Local
from tests.support.jobs import job
from tests.support.seams import Queues, busy


def here(queues: dict[Weight, Queue] | None = None, *, timeout: float = 60.0) -> Here:
    return Here(Queues(queues or {}), Estimates(), lambda _: timeout)


def test_a_weight_without_workers_has_no_slots() -> None:
    assert here().local(Weight.HEAVY) == Local(slots=0, wait=0.0)
    assert here().free_slots(Weight.HEAVY) is None


def test_the_wait_is_the_queues_own() -> None:
    assert here({Weight.MEDIUM: busy(wait=7.0)}).wait_of(Weight.MEDIUM) == 7.0


def test_a_wait_without_end_is_told_as_an_hour() -> None:
    assert here().wait_of(Weight.MEDIUM) == NEVER
    assert here({Weight.MEDIUM: busy(wait=float("inf"))}).wait_of(Weight.MEDIUM) == NEVER


def test_the_original_measure_counts_what_waits_of_all_weights() -> None:
    node = Here(
        Queues({Weight.MEDIUM: busy(2), Weight.LIGHT: busy(1)}), estimates := Estimates(), lambda _: 60
    )
    assert node.local(Weight.LIGHT).backlog() == 0.0
    estimates.observe(Weight.MEDIUM, "echo", 3.0)
    assert node.local(Weight.LIGHT).backlog() > 0.0


def test_more_jobs_than_slots_leave_no_slot_free() -> None:
    assert here({Weight.MEDIUM: busy(2)}).free_slots(Weight.MEDIUM) == 0
    assert here({Weight.MEDIUM: Queue(1, 3, 0.0)}).free_slots(Weight.MEDIUM) == 2


def test_nothing_is_thought_to_run_longer_than_it_may() -> None:
    assert here().run_of(job()) == PRIORS[Weight.MEDIUM]
    assert here(timeout=0.1).run_of(job()) == 0.1
