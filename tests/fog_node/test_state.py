"""What a node tells the others of itself."""

from collections.abc import Mapping

import pytest

from broker.contract.messages import Books, Load, NodeState
from broker.contract.topics import Weight
from fog_node.jobs.books import Bookkeeper
from fog_node.placement.estimates import Estimates
from fog_node.state import DEVICES, StateReport
from fog_tasks.builtin import echo, sleep
from fog_tasks.declaration.registry import Registry


class Loads:
    """A node with a worker for medium tasks, and none left for light ones."""

    def load(self) -> Mapping[Weight, Load]:
        return {
            Weight.MEDIUM: Load(queued=3, running=1, slots=1, estimated_wait_ms=4000.0),
            Weight.LIGHT: Load(queued=0, running=0, slots=0, estimated_wait_ms=0.0),
        }


@pytest.fixture
def about() -> StateReport:
    return StateReport(
        node="fog-a",
        version="1",
        birth=7,
        is_cloud=False,
        url="mqtt://here",
        tasks=Registry([sleep, echo]),
        queues=Loads(),
        books=Bookkeeper(),
        estimates=Estimates(),
    )


def test_a_state_tells_the_load_and_the_books(about: StateReport) -> None:
    about.books.opened("me")
    state = about.state(denied=2, trouble=())
    assert (state.node, state.online, state.birth, state.url) == ("fog-a", True, 7, "mqtt://here")
    assert state.load == Loads().load()
    assert state.books == state.devices["me"] == Books(accepted=1, open=1)
    assert state.denied == 2


def test_a_weight_that_has_lost_its_workers_is_trouble(about: StateReport) -> None:
    state = about.state(denied=0, trouble=("Redis cannot be reached",))
    assert state.trouble == ("Redis cannot be reached", "no worker for light tasks")


def test_the_originals_backlog_is_what_waits_by_how_long_it_ran_here(about: StateReport) -> None:
    assert about.state(denied=0, trouble=()).backlog_ms == 0
    about.estimates.observe(Weight.MEDIUM, "sleep", 2.0)
    assert about.state(denied=0, trouble=()).backlog_ms > 0


def test_a_state_holds_the_books_of_no_more_devices_than_a_small_one_can_read(about: StateReport) -> None:
    for number in range(DEVICES + 5):
        about.books.opened(str(number))
    devices = about.state(denied=0, trouble=()).devices
    assert len(devices) == DEVICES
    assert "0" not in devices


def test_the_last_will_is_of_the_same_life_and_says_nothing_else(about: StateReport) -> None:
    assert about.will() == NodeState(node="fog-a", online=False, version="1", birth=7)


def test_the_catalog_names_every_task_in_order_with_how_long_it_runs_here(about: StateReport) -> None:
    about.estimates.observe(Weight.MEDIUM, "sleep", 2.0)
    about.estimates.observe(Weight.LIGHT, "echo", 9.0, place="fog-b")
    assert [(entry.task, entry.typical_ms) for entry in about.catalog().tasks] == [
        ("echo", None),
        ("sleep", 2000.0),
    ]
