"""Jobs on their way to a place, back from there, and on to another."""

import pytest

from broker.contract.messages import ErrorCode, Stage, TaskError
from broker.contract.topics import CLOUD, Weight
from fog_node.jobs.job import Job
from tests.support.centre import Deciding
from tests.support.jobs import job
from tests.support.seams import names


@pytest.fixture
def node() -> Deciding:
    return Deciding(neighbours=["fog-b", "fog-c"], cloud=True)


def heavy() -> Job:
    return job(weight=Weight.HEAVY)


def in_parts() -> Job:
    return job(task="add", payload=b'{"numbers":[1,2]}')


def test_what_runs_here_in_one_piece_starts_before_it_is_stored(node: Deciding) -> None:
    one = job()
    assert node.router.start(one, node.placer.decide_now(one, 0.0), 0.0)
    assert node.workers.jobs == [one]


@pytest.mark.parametrize("one", [heavy(), in_parts()], ids=["elsewhere", "in parts"])
def test_what_leaves_or_may_be_split_waits_until_it_is_stored(node: Deciding, one: Job) -> None:
    assert not node.router.start(one, node.placer.decide_now(one, 0.0), 0.0)
    assert node.workers.jobs == []


def test_a_job_that_is_split_is_said_to_run(node: Deciding) -> None:
    one = in_parts()
    node.router.send(one, node.placer.decide_now(one, 0.0), 0.0)
    assert [part.task for part in node.workers.jobs] == ["add/split"]
    assert node.progress.told == [("1", Stage.RUNNING)]


def test_a_job_for_the_cloud_is_not_split(node: Deciding) -> None:
    node.without_workers()
    node.mesh.by_name.clear()
    one = in_parts()
    node.router.send(one, node.placer.decide_now(one, 0.0), 0.0)
    assert node.cloud is not None
    assert node.cloud.jobs == [one]


def test_a_job_that_is_taken_back_leaves_no_parts_behind(node: Deciding) -> None:
    one = in_parts()
    node.router.send(one, node.placer.decide_now(one, 0.0), 0.0)
    node.router.recall(one)
    (step,) = node.workers.jobs
    assert node.workers.withdrawn == [step, one]


def test_a_lost_job_finds_a_place_in_the_fog_before_it_goes_to_the_cloud(node: Deciding) -> None:
    one = heavy()
    node.router.place_anew(one, 0.0)
    assert node.workers.jobs == [one]


def test_a_lost_job_for_which_there_is_only_the_cloud_asks_on_there(node: Deciding) -> None:
    node.without_workers(Weight.HEAVY)
    node.mesh.by_name.clear()
    one = heavy()
    one.avoid(CLOUD)
    node.router.place_anew(one, 0.0)
    assert node.cloud is not None
    assert node.cloud.jobs == [one]


def test_a_lost_job_does_not_go_to_a_neighbour_that_it_avoids(node: Deciding) -> None:
    node.without_workers()
    one = job(avoided=("fog-b",))
    node.router.place_anew(one, 0.0)
    assert node.mesh.by_name["fog-c"].jobs == [one]


def test_a_job_that_ended_meanwhile_is_not_placed_again(node: Deciding) -> None:
    one = job()
    one.end()
    node.router.place_anew(one, 0.0)
    assert not node.router.place_elsewhere(one, 0.0)
    assert node.workers.jobs == []


def test_a_refused_job_goes_elsewhere(node: Deciding) -> None:
    node.without_workers()
    one = job(avoided=("fog-b", "fog-c"))
    assert node.router.place_elsewhere(one, 0.0)
    assert node.cloud is not None
    assert node.cloud.jobs == [one]


def test_a_job_that_the_cloud_refused_does_not_wait_for_it(node: Deciding) -> None:
    node.without_workers()
    assert not node.router.place_elsewhere(job(avoided=("fog-b", "fog-c", CLOUD)), 0.0)
    assert node.endings.ended == []


def test_a_job_of_an_earlier_life_is_placed_like_a_new_one(node: Deciding) -> None:
    node.router.recover(job(), 0.0, fault=None)
    assert names(node.workers.jobs) == ["1"]


def test_a_job_of_an_earlier_life_that_cannot_run_any_more_ends_with_the_reason(node: Deciding) -> None:
    fault = TaskError(ErrorCode.UNKNOWN_TASK, "task 'echo' is not loaded any more")
    node.router.recover(job(), 0.0, fault=fault)
    assert node.endings.only.error == fault
    assert node.workers.jobs == []
