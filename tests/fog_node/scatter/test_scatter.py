"""Tasks done in parts, on a clock of the tests' own; the workers' reports are the tests' too."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from broker.contract.messages import ErrorCode, TaskError
from broker.contract.topics import Weight
from fog_node.jobs.job import Job
from fog_node.scatter.scatter import FINAL, WORTH
from fog_tasks.declaration.splitting import SplitStep
from fog_tasks.reporting.reports import Done, Failed
from tests.support.centre import Deciding
from tests.support.jobs import job
from tests.support.seams import names


def whole(**changes: object) -> Job:
    fields: dict[str, Any] = {"task": "add", "payload": b'{"numbers":[1,2,3]}'}
    return job(**fields | changes)


class Scattering(Deciding):
    """A node with two slots beside a neighbour with two, at which a task is being split."""

    def __init__(self, **changes: object) -> None:
        super().__init__(neighbours=["fog-b"])
        self.whole = whole(**changes)
        assert self.scatter.take(self.whole, 0.0)

    @property
    def step(self) -> Job:
        """The latest job that was given to the workers here: a step, or a part."""
        return self.workers.jobs[-1]

    @property
    def parts(self) -> list[Job]:
        """The parts, in their order: the first of them here, the second at the neighbour, and so on."""
        here = [one for one in self.workers.jobs if one.task == "add"]
        there = self.mesh.by_name["fog-b"].jobs
        return [one for pair in zip(here, there, strict=True) for one in pair]

    def split(self, parts: Sequence[bytes] = (b"1", b"2", b"3", b"4")) -> None:
        """Let the worker that splits the task return these payloads."""
        self.done(self.step, msgspec.json.encode(parts))

    def done(self, one: Job, value: bytes, now: float = 1.0) -> None:
        self.listener.reported(one, Done("t", value, 1.0), now)

    def fail(self, one: Job, code: ErrorCode = ErrorCode.FAILED) -> None:
        self.listener.reported(one, Failed("t", code, "it raised", 1.0), 1.0)

    @property
    def error(self) -> TaskError:
        """Why the whole task failed."""
        assert isinstance(self.endings.only.error, TaskError)
        return self.endings.only.error


def test_a_task_is_split_into_as_many_parts_as_slots_are_free() -> None:
    node = Scattering()
    assert node.step.task == "add/split"
    assert node.step.payload == SplitStep.payload(4, node.whole.payload)


@pytest.mark.parametrize(
    "changes",
    [{"task": "echo"}, {"weight": Weight.HEAVY}, {"part": True}, {"origin": "fog-b"}, {"task": "gone"}],
    ids=str,
)
def test_only_a_whole_medium_task_of_the_nodes_own_devices_is_split(changes: dict[str, object]) -> None:
    node = Deciding(neighbours=["fog-b"])
    assert not node.scatter.can_take(whole(**changes))
    assert not node.scatter.take(whole(**changes), 0.0)


def test_a_short_task_is_not_worth_it() -> None:
    node = Deciding(neighbours=["fog-b"])
    node.estimates.observe(Weight.MEDIUM, "add", 0.9 * WORTH)
    assert not node.scatter.take(whole(), 0.0)


def test_one_free_slot_is_none_to_share_with() -> None:
    assert not Deciding(slots={Weight.MEDIUM: 1}).scatter.take(whole(), 0.0)


def test_the_parts_go_to_the_free_slots_in_turn() -> None:
    node = Scattering()
    node.split()
    assert [part.payload for part in node.parts] == [b"1", b"2", b"3", b"4"]


def test_more_parts_than_free_slots_are_placed_by_the_policy() -> None:
    node = Scattering()
    node.split([b"%d" % number for number in range(6)])
    assert len(node.workers.jobs[1:]) == 4


@pytest.mark.parametrize("max_hops", [None, 0, 1, 5])
def test_a_part_is_handed_on_once_at_most_and_never_where_the_whole_may_not_be(max_hops: int | None) -> None:
    node = Scattering(max_hops=max_hops)
    node.split()
    parts = [one for one in node.workers.jobs if one.task == "add"] + node.mesh.by_name["fog-b"].jobs
    assert {part.max_hops for part in parts} == {0 if max_hops == 0 else 1}
    assert bool(node.mesh.by_name["fog-b"].jobs) is (max_hops != 0)


def test_the_values_are_merged_in_the_order_of_the_parts() -> None:
    node = Scattering()
    node.split()
    for part in reversed(node.parts):
        node.done(part, part.payload)
    assert (node.step.task, node.step.payload) == ("add/merge", b"[1,2,3,4]")


def test_the_merged_value_is_the_outcome_and_tells_where_the_parts_were() -> None:
    node = Scattering()
    node.split()
    for part in node.parts:
        node.done(part, part.payload)
    node.done(node.step, b"10", now=3.0)
    outcome = node.endings.only
    assert (outcome.id, outcome.value, outcome.ran_ms) == ("1", msgspec.Raw(b"10"), 3000.0)
    assert outcome.why == "split into 4 parts: fog-a 4"


def test_each_part_that_is_done_is_progress_of_the_whole() -> None:
    node = Scattering()
    node.split()
    for part in node.parts:
        node.done(part, part.payload)
    assert [told for told in node.progress.told if told[0] == "1"] == [
        ("1", 25.0),
        ("1", 50.0),
        ("1", 75.0),
        ("1", 100.0),
    ]


def test_a_part_that_fails_once_is_tried_again_under_another_name() -> None:
    node = Scattering()
    node.split()
    first = node.parts[0]
    node.fail(first)
    again = node.step
    assert (again.payload, again.id != first.id) == (first.payload, True)
    assert node.endings.ended == []
    node.done(again, b"1")
    assert ("1", 25.0) in node.progress.told


def test_a_part_that_fails_twice_ends_the_whole_and_takes_the_others_back() -> None:
    node = Scattering()
    node.split()
    others = node.parts[1:]
    node.fail(node.parts[0])
    node.fail(node.step)
    assert node.error == TaskError(ErrorCode.FAILED, "a part: it raised")
    assert set(names(others)) <= set(names(node.workers.withdrawn))
    assert all(part.ended for part in others)


@pytest.mark.parametrize("code", sorted(FINAL))
def test_a_part_that_time_or_the_device_has_ended_is_not_tried_again(code: ErrorCode) -> None:
    node = Scattering()
    node.split()
    node.fail(node.parts[0], code)
    assert node.error.code is code


def test_splitting_that_fails_is_not_tried_again() -> None:
    node = Scattering()
    node.fail(node.step)
    assert node.error.message == "splitting it: it raised"


def test_merging_that_fails_is_not_tried_again() -> None:
    node = Scattering()
    node.split([b"1"])
    node.done(node.step, b"1")
    node.fail(node.step)
    assert node.error.message == "merging its parts: it raised"


def test_what_comes_of_a_part_after_the_whole_has_ended_changes_nothing() -> None:
    node = Scattering()
    node.split()
    late = node.parts[1]
    node.fail(node.parts[0], ErrorCode.TIMED_OUT)
    node.done(late, b"2")
    assert len(node.endings.ended) == 1


def test_what_comes_of_a_part_twice_counts_once() -> None:
    node = Scattering()
    node.split()
    for _ in range(2):
        node.done(node.parts[0], b"1")
    assert [told for told in node.progress.told if told[0] == "1"] == [("1", 25.0)]


def test_parts_that_are_taken_back_are_told_to_no_one() -> None:
    node = Scattering()
    node.split()
    before = list(node.progress.told)
    node.scatter.withdraw(node.whole)
    node.done(node.parts[0], b"1")
    assert node.progress.told == before
    assert node.endings.ended == []
    assert set(names(node.parts)) == set(names(node.mesh.by_name["fog-b"].withdrawn))


def test_taking_back_what_is_not_in_parts_does_nothing() -> None:
    node = Scattering()
    node.scatter.withdraw(job(99))
    assert node.workers.withdrawn == []


def test_a_part_at_a_neighbour_that_is_gone_is_placed_anew() -> None:
    node = Scattering()
    node.split()
    lost = node.parts[1]
    del node.mesh.by_name["fog-b"]
    node.listener.lost(lost, 1.0)
    assert node.step is lost


def test_a_part_that_cannot_leave_ends_the_whole_once() -> None:
    """An outbox that is full at the first part says so while the others are still being sent."""
    node = Scattering()
    node.mesh.by_name["fog-b"].full = True
    node.split()
    assert node.error.code is ErrorCode.OVERLOADED
    assert len(node.endings.ended) == 1


def test_a_part_has_no_place_in_the_journal_of_this_life_or_another() -> None:
    """Its key is larger than any of the journal's: a late answer to it must not be taken for another's."""
    assert Scattering().step.key >= 1 << 61


def test_a_part_has_the_deadline_of_the_whole() -> None:
    assert Scattering(deadline=7.0).step.deadline == 7.0
