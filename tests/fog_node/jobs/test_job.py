"""A job's life, and what it is called by whom."""

import pytest

from fog_node.jobs.job import AGEING
from tests.support.jobs import job


def test_the_same_submission_has_the_same_identity_whatever_its_key() -> None:
    assert job(1, id="x").identity == job(2, id="x").identity
    assert job(id="x").identity != job(id="x", origin="fog-b").identity
    assert job(id="x").identity != job(id="x", fingerprint=b"other").identity


def test_a_job_stands_in_its_devices_account_or_in_that_of_the_node_that_handed_it_over() -> None:
    assert job().owner == "me"
    assert job(origin="fog-b").owner == "fog-b"


def test_a_parts_outcome_goes_to_the_whole_only_at_the_node_that_split_it() -> None:
    assert job(part=True).own_part
    assert not job(part=True, origin="fog-b").own_part
    assert not job().own_part


def test_a_part_is_remembered_under_another_name_than_the_whole() -> None:
    assert job(part=True).kind == "echo/part"
    assert job().kind == "echo"


def test_a_job_leaves_and_comes_back_as_another_to_the_node_it_was_at() -> None:
    one = job()
    one.leave()
    assert one.away
    one.come_back()
    assert not one.away
    assert one.recalls == 1


@pytest.mark.parametrize("left", [True, False])
def test_an_ended_job_is_not_away(left: bool) -> None:
    one = job()
    if left:
        one.leave()
    for _ in range(2):
        one.end()
    assert one.ended
    assert not one.away


@pytest.mark.parametrize(("now", "expired"), [(4.9, False), (5.0, True), (9.0, True)])
def test_a_job_expires_at_its_deadline(now: float, expired: bool) -> None:
    one = job(deadline=5.0)
    assert one.expired(now) is expired
    assert one.remaining(now) == 5.0 - now


def test_a_job_without_a_deadline_never_expires_and_grows_urgent_all_the_same() -> None:
    one = job(received=10.0)
    assert not one.expired(1e9)
    assert one.remaining(0.0) is None
    assert one.urgency == 10.0 + AGEING


def test_a_job_avoids_every_node_it_was_told_to() -> None:
    one = job()
    one.avoid("fog-b")
    one.avoid("fog-c")
    assert one.avoided == ("fog-b", "fog-c")
