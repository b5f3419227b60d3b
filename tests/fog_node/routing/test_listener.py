"""What is made of the words of workers and other nodes."""

from typing import Any

import msgspec
import pytest

from broker.contract.messages import ErrorCode, Outcome, Progress, Report, Stage, TaskError
from broker.contract.topics import Weight
from fog_node.jobs.job import Job
from fog_node.jobs.refusal import REFUSALS
from fog_node.placement.board import Board
from fog_node.placement.estimates import Estimates
from fog_node.placement.experience import Experience
from fog_node.placement.here import NEVER, Here
from fog_node.placement.surroundings import Surroundings
from fog_node.routing.listener import Listener
from fog_tasks.reporting.reports import Advanced, Done, Failed, Running
from tests.support.jobs import job
from tests.support.seams import Endings, Onward, Queues, Teller, busy
from tests.support.seams import Progress as Told

PART: dict[str, Any] = {"part": True, "id": "part-1"}
PEER = Teller("fog-b")


class Listening:
    """A listener, and all that it tells."""

    def __init__(self) -> None:
        self.endings, self.told, self.onward = Endings(), Told(), Onward()
        self.estimates = Estimates()
        known = Surroundings(node="fog-a", estimates=self.estimates, board=Board())
        self.listener = Listener(
            "fog-a",
            here=Here(Queues({Weight.MEDIUM: busy(wait=2.0)}), self.estimates, lambda _: 60.0),
            experience=Experience(known),
            endings=self.endings,
            progress=self.told,
        )
        self.listener.onward = self.onward

    def ran(self, one: Job) -> float:
        return self.estimates.of(one.weight, one.kind).run


@pytest.fixture
def node() -> Listening:
    return Listening()


def failure(code: ErrorCode = ErrorCode.FAILED) -> Outcome:
    return Outcome(ok=False, error=TaskError(code, "no"), id="1~2", node="fog-b", route=("fog-b",))


def test_a_value_ends_the_job(node: Listening) -> None:
    one = job(why="a slot is free here")
    node.listener.reported(one, Done("t", b"[1]", 2000.0), 5.0)
    outcome = node.endings.only
    assert (outcome.ok, outcome.value, outcome.node) == (True, msgspec.Raw(b"[1]"), "fog-a")
    assert (outcome.ran_ms, outcome.waited_ms, outcome.total_ms) == (2000.0, 3000.0, 5000.0)
    assert outcome.why == "a slot is free here"
    assert node.ran(one) == 2.0


def test_a_failure_ends_the_job_and_teaches_nothing(node: Listening) -> None:
    one = job()
    node.listener.reported(one, Failed("t", ErrorCode.TIMED_OUT, "too long", 9000.0), 9.0)
    assert node.endings.only.error == TaskError(ErrorCode.TIMED_OUT, "too long")
    assert node.ran(one) < 1.0
    assert node.endings.dead == []


def test_a_job_that_kills_its_workers_is_kept_among_the_dead_letters(node: Listening) -> None:
    one = job()
    killed = Failed("t", ErrorCode.FAILED, "it died", 0.0, killed=True, worker_lost=True)
    node.listener.reported(one, killed, 1.0)
    assert node.endings.dead == [(one, "it died")]


def test_a_part_is_no_dead_letter(node: Listening) -> None:
    node.listener.reported(job(**PART), Failed("t", ErrorCode.FAILED, "", 0.0, worker_lost=True), 1.0)
    assert node.endings.dead == []


def test_what_runs_is_told_with_how_far_it_is(node: Listening) -> None:
    node.listener.reported(job(), Running("t", "w"), 1.0)
    node.listener.reported(job(), Advanced("t", 40.0), 1.0)
    assert node.told.told == [("1", Stage.RUNNING), ("1", 40.0)]


def test_the_outcome_of_a_part_goes_to_the_whole(node: Listening) -> None:
    part = job(**PART)
    assert node.listener.fail(part, ErrorCode.EXPIRED, "late", 1.0) is None
    assert node.onward.done == [("part", part, False, 1.0)]
    assert node.endings.ended == []
    assert part.ended


def test_a_part_that_another_node_handed_over_has_an_outcome_like_any_job(node: Listening) -> None:
    node.listener.reported(job(**PART, origin="fog-b"), Done("t", b"1", 1.0), 1.0)
    assert node.endings.only.ok


def test_the_node_that_handed_a_job_over_is_told_what_the_next_would_wait(node: Listening) -> None:
    node.listener.reported(job(), Done("t", b"1", 1.0), 1.0)
    node.listener.reported(job(origin="fog-b"), Done("t", b"1", 1.0), 1.0)
    node.listener.reported(job(origin="fog-b", weight=Weight.HEAVY), Done("t", b"1", 1.0), 1.0)
    assert node.endings.waits == [None, 2000.0, 1e3 * NEVER]


def test_a_device_is_told_where_its_job_runs_but_not_that_another_node_accepted_it(node: Listening) -> None:
    for stage in (Stage.ACCEPTED, Stage.PLACED, Stage.RUNNING):
        step = Progress(stage=stage, id="1", task="echo", node="fog-b")
        assert node.listener.reported_by_peer(job(), Report(progress=step), PEER, 1.0) is None
    assert node.told.told == [("1", (Stage.PLACED, "fog-b")), ("1", (Stage.RUNNING, "fog-b"))]


def test_an_outcome_from_another_node_is_passed_on_under_the_jobs_own_name(node: Listening) -> None:
    theirs = Outcome(
        ok=True, value=msgspec.Raw(b"1"), id="1~2", node="fog-b", route=("fog-b",), ran_ms=1500.0
    )
    node.listener.reported_by_peer(job(), Report(outcome=theirs), PEER, 2.0)
    outcome = node.endings.only
    assert (outcome.id, outcome.node, outcome.route) == ("1", "fog-b", ("fog-b", "fog-a"))
    assert (outcome.ran_ms, outcome.waited_ms) == (1500.0, 500.0)


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_what_another_node_refuses_goes_elsewhere(node: Listening, code: ErrorCode) -> None:
    one = job()
    assert node.listener.reported_by_peer(one, Report(outcome=failure(code)), PEER, 2.0) is None
    assert node.onward.done == [("elsewhere", one, 2.0)]
    assert node.endings.ended == []


def test_a_refusal_is_the_outcome_where_there_is_no_other_place(node: Listening) -> None:
    node.onward.elsewhere = False
    refusal = failure(ErrorCode.UNKNOWN_TASK)
    assert node.listener.reported_by_peer(job(), Report(outcome=refusal), PEER, 2.0)
    assert node.endings.only.error == refusal.error


@pytest.mark.parametrize("code", sorted(set(ErrorCode) - REFUSALS))
def test_a_failure_at_another_node_is_not_tried_elsewhere(node: Listening, code: ErrorCode) -> None:
    assert node.listener.reported_by_peer(job(), Report(outcome=failure(code)), PEER, 2.0)
    assert node.onward.done == []


def test_a_job_that_could_not_leave_in_time_has_expired(node: Listening) -> None:
    node.listener.expired(job(deadline=1.0), 1.0)
    assert isinstance(node.endings.only.error, TaskError)
    assert node.endings.only.error.code is ErrorCode.EXPIRED


def test_a_job_that_another_node_lost_is_placed_anew(node: Listening) -> None:
    one = job()
    node.listener.lost(one, 1.0)
    assert node.onward.done == [("anew", one, 1.0)]
