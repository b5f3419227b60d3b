"""Which jobs of a Celery application wait at the node, and which are with it."""

from fog_node.execution.application.queue import ApplicationQueue
from tests.support.jobs import job


def test_the_most_urgent_go_first_and_no_more_than_may_be_there() -> None:
    queue = ApplicationQueue("n-", 2)
    for key, deadline in ((1, None), (2, 5.0), (3, 1.0)):
        queue.push(job(key, deadline=deadline))
    assert [ticket for ticket, _, _ in queue.take()] == ["n-3-0", "n-2-0"]
    assert not list(queue.take())
    assert queue.ended("n-2-0") is not None
    assert [taken.key for _, taken, _ in queue.take()] == [1]


def test_a_job_has_one_ticket_in_every_life() -> None:
    tickets = []
    for known in (False, True):
        queue = ApplicationQueue("n-", 2)
        queue.push(job(7), known=known)
        tickets += [(ticket, again) for ticket, _, again in queue.take()]
    assert tickets == [("n-7-0", False), ("n-7-0", True)]


def test_what_was_with_a_door_that_died_may_be_known_and_what_waited_is_not() -> None:
    queue = ApplicationQueue("n-", 1)
    for key in (1, 2):
        queue.push(job(key, received=float(key)))
    list(queue.take())
    queue.door_gone()
    assert [(taken.key, known) for _, taken, known in queue.take()] == [(1, True)]
    queue.ended("n-1-0")
    assert [(taken.key, known) for _, taken, known in queue.take()] == [(2, False)]


def test_only_what_the_application_has_is_to_be_revoked() -> None:
    queue, sent, waiting = ApplicationQueue("n-", 1), job(1), job(2)
    queue.push(sent)
    queue.push(waiting)
    list(queue.take())
    assert queue.withdraw(sent) == "n-1-0"
    assert queue.withdraw(sent) is None
    assert queue.withdraw(waiting) is None
    assert not list(queue.take())


def test_what_waits_expires_here_and_what_was_sent_there() -> None:
    queue = ApplicationQueue("n-", 1)
    first, second = job(1, deadline=1.0), job(2, deadline=2.0)
    queue.push(first)
    queue.push(second)
    list(queue.take())
    assert queue.next_deadline() == 2.0
    assert queue.expire(3.0) == [second]
    assert queue.next_deadline() is None
    assert queue.of("n-1-0") is first
