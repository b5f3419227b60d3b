"""How far a job is, told to whoever waits for it, and when."""

import msgspec
import pytest

from broker.contract.message import Message
from broker.contract.messages import Progress, Report, Stage
from broker.engines.memory import MemoryEngine
from fog_node.replies.progress import ProgressTeller
from fog_node.replies.replies import Replies
from tests.support.jobs import job


class Telling:
    """A teller, and what devices and nodes hear of it."""

    def __init__(self) -> None:
        engine = MemoryEngine()
        self.steps: list[Progress] = []
        engine.listen("fog/#", self.hear)
        self.teller = ProgressTeller("fog-a", Replies(engine))

    def hear(self, message: Message) -> None:
        if message.topic.startswith("fog/progress/"):
            self.steps.append(msgspec.json.decode(message.payload, type=Progress))
        else:
            step = msgspec.json.decode(message.payload, type=Report).progress
            assert step is not None
            self.steps.append(step)

    @property
    def heard(self) -> list[tuple[Stage, float | None]]:
        return [(step.stage, step.percent) for step in self.steps]


@pytest.fixture
def node() -> Telling:
    return Telling()


def test_a_job_that_runs_before_it_is_stored_is_told_to_be_accepted_first(node: Telling) -> None:
    one = job()
    node.teller.keep(one)
    node.teller.running(one)
    node.teller.running(one, 40.0)
    assert node.heard == []
    node.teller.stored(one)
    assert node.heard == [(Stage.ACCEPTED, None), (Stage.RUNNING, None), (Stage.RUNNING, 40.0)]


def test_what_a_stored_job_does_is_told_at_once(node: Telling) -> None:
    one = job()
    node.teller.keep(one)
    node.teller.stored(one)
    node.teller.running(one)
    assert node.heard[-1] == (Stage.RUNNING, None)


def test_nothing_is_told_of_a_job_that_could_not_be_stored(node: Telling) -> None:
    one = job()
    node.teller.keep(one)
    node.teller.running(one)
    node.teller.drop(one)
    assert node.heard == []


def test_nobody_waits_for_the_steps_of_a_part(node: Telling) -> None:
    node.teller.running(job(part=True))
    assert node.heard == []


def test_a_part_that_another_node_handed_over_is_told_of_there(node: Telling) -> None:
    node.teller.running(job(part=True, origin="fog-b", reply="fog/mesh/fog-b/results/k"))
    assert node.heard == [(Stage.RUNNING, None)]


def test_a_step_is_at_this_node_unless_another_is_named(node: Telling) -> None:
    node.teller.tell(job(), Stage.PLACED)
    node.teller.tell(job(), Stage.PLACED, node="fog-b")
    assert [step.node for step in node.steps] == ["fog-a", "fog-b"]
