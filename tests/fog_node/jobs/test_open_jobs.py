"""The open jobs of a node, and the accounts that change with them."""

import pytest

from broker.contract.messages import Books
from fog_node.jobs.books import Bookkeeper
from fog_node.jobs.job import End
from fog_node.jobs.limits import DeviceLimits
from fog_node.jobs.open_jobs import OpenJobs
from tests.support.jobs import job


@pytest.fixture
def books() -> Bookkeeper:
    return Bookkeeper()


@pytest.fixture
def jobs(books: Bookkeeper) -> OpenJobs:
    """Two may be open in all, and one of each device."""
    return OpenJobs(books, DeviceLimits(rate=0, burst=1, open=1), most=2)


def test_a_job_is_open_from_its_acceptance_to_its_outcome(jobs: OpenJobs, books: Bookkeeper) -> None:
    one = job()
    jobs.add(one)
    assert jobs.same(one) is one
    assert list(jobs) == [one]
    jobs.close(one, End.DONE)
    assert jobs.same(one) is None
    assert books.report() == Books(accepted=1, done=1)


def test_a_second_submission_of_a_job_is_not_the_job_itself(jobs: OpenJobs) -> None:
    jobs.add(job(1, id="x"))
    assert job(2, id="x") not in jobs


def test_one_name_may_stand_for_several_jobs(jobs: OpenJobs) -> None:
    first, second = job(1, id="x", fingerprint=b"1"), job(2, id="x", fingerprint=b"2")
    for one in (first, second, job(3, id="x", origin="fog-b"), job(4, id="y")):
        jobs.add(one)
    assert jobs.same(job(5, id="x", fingerprint=b"2")) is second
    assert list(jobs.named("me", "x")) == [first, second]
    assert len(jobs) == len(list(jobs)) == 4
    jobs.close(first, End.DONE)
    assert list(jobs.named("me", "x")) == [second]
    jobs.close(second, End.DONE)
    assert list(jobs.named("me", "x")) == []


def test_a_job_that_was_not_taken_on_after_all_is_a_rejected_submission(
    jobs: OpenJobs, books: Bookkeeper
) -> None:
    one = job()
    jobs.add(one)
    jobs.withdraw(one)
    assert books.report() == Books(accepted=1, rejected=1)
    assert len(jobs) == 0


def test_an_ended_job_leaves_its_device_room_for_another(jobs: OpenJobs) -> None:
    one = job(1)
    jobs.add(one)
    assert jobs.too_much(job(2)) is not None
    jobs.close(one, End.FAILED)
    assert jobs.too_much(job(2)) is None


def test_as_many_are_open_as_may_be(jobs: OpenJobs) -> None:
    jobs.add(job(1))
    assert not jobs.full
    jobs.add(job(2))
    assert jobs.full


def test_a_job_that_was_handed_over_is_found_by_the_topic_its_node_hears_of_it_on(jobs: OpenJobs) -> None:
    one = job(origin="fog-b", reply="fog/mesh/fog-b/results/k")
    jobs.add(one)
    assert jobs.handed_over("fog/mesh/fog-b/results/k") is one
    jobs.close(one, End.DONE)
    assert jobs.handed_over("fog/mesh/fog-b/results/k") is None


def test_a_devices_job_is_not_found_among_those_that_were_handed_over(jobs: OpenJobs) -> None:
    jobs.add(job(reply="fog/mesh/fog-b/results/k"))
    assert jobs.handed_over("fog/mesh/fog-b/results/k") is None
