"""Leases of jobs that are away, on a clock of the tests' own."""

from dataclasses import dataclass, field

from broker.contract.topics import CLOUD, Weight
from broker.errors import OutboxFull
from fog_node.jobs.job import Job, JobState
from fog_node.mesh.handed_over import HandedOver, HandedOverJobs
from fog_node.mesh.leases import LEASES, UNHEARD, Leases
from tests.support.jobs import job

LEASE = 10.0


@dataclass
class Watched:
    """One job that has left, and what is done about it."""

    full: bool = False
    asked: list[str] = field(default_factory=list)
    lost: list[HandedOver] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.away = HandedOverJobs(CLOUD, node="fog-a", journal_life="life")
        self.job = job(weight=Weight.HEAVY, state=JobState.AWAY)
        self.away.add(self.job, 0.0)
        self.leases = Leases(CLOUD, self.away, seconds=LEASE, hand_over=self.hand_over, lose=self.lost.append)

    def hand_over(self, _job: Job, address: str) -> None:
        self.asked.append(address)
        if self.full:
            raise OutboxFull("no room")

    @property
    def one(self) -> HandedOver:
        (one,) = self.away
        return one


def test_a_job_is_asked_for_once_in_each_lease_without_a_word() -> None:
    watched = Watched()
    for now in (LEASE, LEASE + 0.1, LEASE + 0.2, 2 * LEASE):
        watched.leases.check(now)
    assert watched.asked == [CLOUD]
    assert watched.one.asked


def test_a_job_that_has_not_left_is_not_asked_for() -> None:
    watched = Watched()
    watched.job.state = JobState.OPEN
    watched.leases.check(9 * LEASE)
    watched.leases.ask_again(None, 9 * LEASE)
    assert watched.asked == []


def test_the_last_lease_without_a_word_loses_the_job_and_avoids_the_node() -> None:
    watched = Watched()
    for lease in range(1, LEASES + 1):
        watched.leases.check(lease * (LEASE + 0.1))
    assert len(watched.asked) == LEASES - 1
    assert watched.lost == [watched.one]
    assert watched.job.avoided == (CLOUD,)


def test_one_that_was_just_sent_is_not_asked_for_when_a_gateway_joins() -> None:
    watched = Watched()
    watched.leases.ask_again(None, UNHEARD)
    assert watched.asked == []
    watched.leases.ask_again(None, UNHEARD + 0.1)
    assert watched.asked == [CLOUD]


def test_what_cannot_be_asked_for_now_is_asked_for_a_lease_later() -> None:
    watched = Watched(full=True)
    watched.leases.check(LEASE + 0.1)
    watched.full = False
    watched.leases.check(2 * LEASE + 0.3)
    assert watched.asked == [CLOUD, CLOUD]
    assert watched.lost == []


def test_only_what_the_other_broker_has_not_got_is_given_up() -> None:
    watched = Watched()
    watched.one.arrived = True
    watched.leases.give_up_waiting()
    assert watched.lost == []
    watched.one.arrived = False
    watched.leases.give_up_waiting()
    assert watched.lost == [watched.one]
