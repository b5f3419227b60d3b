"""What is learned from what came of jobs."""

import pytest
from msgspec import UNSET

from broker.contract.messages import ErrorCode, Outcome, Report, TaskError
from broker.contract.topics import CLOUD, Weight
from fog_node.placement.estimates import PRIORS
from fog_node.placement.experience import Experience
from tests.support.centre import Deciding
from tests.support.jobs import job
from tests.support.seams import Teller


def report(*, wait_ms: float | None = None, ok: bool = True, route: tuple[str, ...] = ("fog-b",)) -> Report:
    error = UNSET if ok else TaskError(ErrorCode.FAILED, "no")
    return Report(
        outcome=Outcome(ok=ok, id="1", node=route[0], route=route, ran_ms=4000.0, error=error),
        wait_ms=wait_ms,
    )


def wait_at(node: Deciding, name: str, now: float = 0.0) -> float:
    board = node.known.cloud if name == "gate" else node.known.board
    view = board.view(name, Weight.MEDIUM, now)
    assert view is not None
    return view.wait


@pytest.fixture
def node() -> Deciding:
    return Deciding(neighbours=["fog-b"], cloud=True)


def run_at(node: Deciding, place: str) -> float:
    return node.estimates.of(Weight.MEDIUM, "echo", place=place).run


def test_an_execution_here_is_learned_from(node: Deciding) -> None:
    Experience(node.known).ran_here(job(), 3.0)
    assert node.here.run_of(job()) == 3.0


def test_a_part_teaches_nothing_of_the_whole(node: Deciding) -> None:
    Experience(node.known).ran_here(job(part=True), 3.0)
    assert node.here.run_of(job()) == PRIORS[Weight.MEDIUM]
    assert node.here.run_of(job(part=True)) == 3.0


def test_an_execution_elsewhere_is_learned_of_that_place_alone(node: Deciding) -> None:
    Experience(node.known).told(job(), report(), Teller("fog-b"), 0.0)
    assert run_at(node, "fog-b") == 4.0
    assert run_at(node, "fog-c") == run_at(node, "") == PRIORS[Weight.MEDIUM]


def test_the_neighbour_that_was_chosen_is_learned_of_though_another_has_run_it(node: Deciding) -> None:
    Experience(node.known).told(job(), report(route=("fog-c", "fog-b")), Teller("fog-b"), 0.0)
    assert run_at(node, "fog-b") == 4.0
    assert run_at(node, "fog-c") == PRIORS[Weight.MEDIUM]


def test_a_failed_job_tells_the_wait_but_not_how_long_the_task_runs(node: Deciding) -> None:
    Experience(node.known).told(job(), report(ok=False, wait_ms=500.0), Teller("fog-b"), 0.0)
    assert wait_at(node, "fog-b") == 0.5
    assert run_at(node, "fog-b") == PRIORS[Weight.MEDIUM]


def test_the_clouds_word_is_of_its_gateway_and_its_executions_of_the_cloud(node: Deciding) -> None:
    told = report(route=("worker", "gate"), wait_ms=500.0)
    Experience(node.known).told(job(), told, Teller(CLOUD), 0.0)
    assert wait_at(node, "gate") == 0.5
    assert run_at(node, CLOUD) == 4.0


def test_an_outcome_without_a_route_is_its_nodes_own(node: Deciding) -> None:
    told = Report(outcome=Outcome(ok=True, id="1", node="gate", route=()), wait_ms=500.0)
    Experience(node.known).told(job(), told, Teller(CLOUD), 0.0)
    assert wait_at(node, "gate") == 0.5


def test_what_has_not_arrived_yet_counts_beside_the_wait_that_is_told(node: Deciding) -> None:
    one = job()
    node.placer.placed(one, node.placer.decide_for(one, "fog-b", 1.0), 1.0)
    Experience(node.known).told(one, report(wait_ms=0.0), Teller("fog-b", known=0.5), 1.0)
    assert wait_at(node, "fog-b", 1.0) > 0
    Experience(node.known).told(one, report(wait_ms=0.0), Teller("fog-b"), 1.0)
    assert wait_at(node, "fog-b", 1.0) == 0


def test_a_step_on_the_way_teaches_nothing(node: Deciding) -> None:
    Experience(node.known).told(job(), Report(wait_ms=500.0), Teller("fog-b"), 0.0)
    assert wait_at(node, "fog-b") == 0
