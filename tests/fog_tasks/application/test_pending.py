"""When a task that is with an application is looked for, and what is done about it."""

import pytest

from fog_tasks.application.pending import (
    EXPIRY_SLACK,
    MOST_ATTEMPTS,
    SECOND_LOOK,
    Entry,
    Found,
    Pending,
    Verdict,
)

LEASE = 30.0
NOBODY = Found(answered=True, waiting=0)


@pytest.fixture
def pending() -> Pending:
    """Three tasks, sent at 0 in the order of their names."""
    pending = Pending(LEASE)
    for ticket in "abc":
        pending.add(ticket, "celery", expires=None)
        pending.sent(ticket, 0.0)
    return pending


def due(pending: Pending, ticket: str, now: float) -> Entry:
    return next(entry for entry in pending.due(now) if entry.ticket == ticket)


def look(pending: Pending, ticket: str, found: Found, now: float) -> Verdict:
    return pending.judge(due(pending, ticket, now), found, now)


def test_it_is_looked_for_when_nothing_was_heard_for_a_lease(pending: Pending) -> None:
    assert not pending.due(LEASE - 1)
    pending.sign("b", LEASE - 1)
    assert {entry.ticket for entry in pending.due(LEASE)} == {"a", "c"}


def test_what_was_not_sent_yet_is_not_looked_for() -> None:
    pending = Pending(LEASE)
    pending.add("a", "celery", expires=None)
    assert not pending.due(1e9)


def test_what_cannot_be_sent_in_time_expires_all_the_same() -> None:
    pending = Pending(LEASE)
    pending.add("a", "celery", expires=4.0)
    assert look(pending, "a", Found(answered=False), 4.0 + EXPIRY_SLACK) is Verdict.EXPIRED


def test_what_an_earlier_life_may_have_sent_is_looked_for_at_once() -> None:
    pending = Pending(LEASE)
    pending.add("a", "celery", expires=None)
    pending.sent("a", 5.0, maybe=True)
    assert due(pending, "a", 5.0).attempts == 0


def test_it_is_sent_again_when_nobody_had_it_twice(pending: Pending) -> None:
    """The first time it may have been on its way from the queue to a worker."""
    assert look(pending, "a", NOBODY, LEASE) is Verdict.WAIT
    assert not [entry for entry in pending.due(LEASE + SECOND_LOOK / 2) if entry.ticket == "a"]
    assert look(pending, "a", NOBODY, LEASE + SECOND_LOOK) is Verdict.AGAIN


@pytest.mark.parametrize(
    "found",
    [
        Found(answered=True, held=True, waiting=0),
        Found(answered=True, held=True, active=True, waiting=0),
        Found(answered=False, waiting=0),
        Found(answered=True, waiting=None),
        Found(answered=True, waiting=1),
    ],
    ids=["a worker has it", "a worker runs it", "no worker answers", "nobody knows the queue", "it may wait"],
)
def test_it_is_waited_for_where_it_may_still_be_somewhere(pending: Pending, found: Found) -> None:
    now = LEASE
    for _ in range(5):
        assert look(pending, "a", found, now) is Verdict.WAIT
        now += LEASE


def test_it_has_left_its_queue_when_a_later_one_has_ended(pending: Pending) -> None:
    pending.end("b")
    behind = Found(answered=True, waiting=1)
    assert [look(pending, "a", behind, now) for now in (LEASE, 2 * LEASE)] == [Verdict.WAIT, Verdict.AGAIN]
    assert [look(pending, "c", behind, now) for now in (LEASE, 2 * LEASE)] == [Verdict.WAIT] * 2


def test_one_that_its_application_tries_again_waits_behind_the_others(pending: Pending) -> None:
    pending.retried("a", 0.0)
    pending.end("c")
    found = Found(answered=True, waiting=1)
    assert [look(pending, "a", found, now) for now in (LEASE, 2 * LEASE)] == [Verdict.WAIT] * 2


def test_how_far_it_is_is_told_ten_times_a_second_and_at_the_end(pending: Pending) -> None:
    steps = [(10, 1.0), (11, 1.05), (12, 1.11), (99, 1.15), (100, 1.16)]
    assert [percent for percent, now in steps if pending.tells("a", percent, now)] == [10, 12, 100]
    assert not pending.tells("unknown", 50, 2.0)


def test_after_some_attempts_it_is_given_up(pending: Pending) -> None:
    now, verdicts = 0.0, []
    while Verdict.LOST not in verdicts:
        now += LEASE
        verdicts.append(look(pending, "a", NOBODY, now))
        if verdicts[-1] is Verdict.AGAIN:
            pending.sent("a", now)
    assert verdicts.count(Verdict.AGAIN) == MOST_ATTEMPTS - 1


def test_a_deadline_is_looked_after_before_the_lease_is_over() -> None:
    pending = Pending(LEASE)
    pending.add("a", "celery", expires=4.0)
    pending.sent("a", 0.0)
    assert not pending.due(4.0)
    late = 4.0 + EXPIRY_SLACK
    assert look(pending, "a", Found(answered=True, active=True, waiting=0), late) is Verdict.WAIT
    assert look(pending, "a", Found(answered=True, held=True, waiting=0), late + LEASE) is Verdict.EXPIRED


def test_how_long_it_ran_counts_from_its_beginning_if_that_was_told(pending: Pending) -> None:
    assert pending.sign("a", 2.0, running=True)
    assert not pending.sign("a", 3.0, running=True)
    ended = [pending.end(ticket) for ticket in "ab"]
    assert [entry.ran(5.0) for entry in ended if entry is not None] == [3.0, 5.0]
    assert pending.end("a") is None
