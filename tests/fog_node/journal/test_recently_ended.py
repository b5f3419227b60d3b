"""The recently_ended never denies a job that the journal may still have."""

from hypothesis import given
from hypothesis import strategies as st

from fog_node.journal.recently_ended import Identity, RecentlyEnded


def name(number: int) -> Identity:
    return ("", "me", str(number), b"")


def test_a_job_that_ended_may_be_there_and_another_is_not() -> None:
    recently_ended = RecentlyEnded()
    recently_ended.add(name(1), 100.0)
    assert recently_ended.may_hold(name(1))
    assert sum(recently_ended.may_hold(name(number)) for number in range(2, 1000)) < 5


def test_jobs_of_an_earlier_life_may_be_there_until_the_last_of_them_is_forgotten() -> None:
    recently_ended = RecentlyEnded(unknown_until=100.0)
    recently_ended.forget(100.0)
    assert recently_ended.may_hold(name(1))
    recently_ended.forget(100.1)
    assert not recently_ended.may_hold(name(1))


def test_what_is_forgotten_leaves_within_two_lifetimes() -> None:
    """So that it does not fill up: each generation goes when all in it are forgotten."""
    recently_ended = RecentlyEnded()
    recently_ended.add(name(1), 100.0)
    recently_ended.forget(150.0)
    recently_ended.add(name(2), 160.0)
    recently_ended.forget(200.0)
    assert not recently_ended.may_hold(name(1))
    assert recently_ended.may_hold(name(2))


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 10)), max_size=60))
def test_whatever_ended_within_the_time_that_is_remembered_may_be_there(
    ends: list[tuple[int, float]],
) -> None:
    """With one forgetting after each end, as far back as twenty seconds."""
    recently_ended, now, ended = RecentlyEnded(), 1000.0, {}
    for number, pause in ends:
        now += pause
        recently_ended.add(name(number), now)
        ended[number] = now
        recently_ended.forget(now - 20)
        assert all(recently_ended.may_hold(name(one)) for one, at in ended.items() if at >= now - 20)
