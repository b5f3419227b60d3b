"""What a node sends back, as messages."""

from typing import Any

import msgspec
import pytest

from broker.contract.messages import ErrorCode, Outcome, Progress, Report, Stage, TaskError, encode
from broker.contract.topics import Weight
from fog_node.jobs.refusal import refused, sender_of
from fog_node.replies.outcomes import (
    encode_outcome,
    local_outcome,
    outcome_message,
    progress_message,
    refusal_message,
    returned_outcome,
)
from tests.support.jobs import job

THEIRS = Outcome(ok=True, id="1~2", node="gate", route=("worker", "gate"), ran_ms=100.0, why="theirs")


def test_an_outcome_here_counts_its_wait_from_when_the_job_came() -> None:
    outcome = local_outcome(job(received=10.0), node="fog-a", now=13.0, ran_ms=1000.0, value=b"1")
    assert (outcome.total_ms, outcome.ran_ms, outcome.waited_ms) == (3000.0, 1000.0, 2000.0)
    assert outcome.route == ("fog-a",)


def test_a_wait_is_never_negative() -> None:
    """A worker's clock and this node's need not agree to the microsecond."""
    assert local_outcome(job(), node="fog-a", now=1.0, ran_ms=1000.1).waited_ms == 0
    assert returned_outcome(job(), THEIRS, node="fog-a", now=0.0).waited_ms == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [({}, True), ({"weight": Weight.LIGHT}, False), ({"origin": "fog-b"}, False), ({"why": ""}, False)],
    ids=str,
)
def test_an_outcome_tells_why_its_place_was_chosen_where_this_node_chose(
    changes: dict[str, Any], told: bool
) -> None:
    fields: dict[str, Any] = {"why": "soonest", "predicted": 2.0}
    one = job(**fields | changes)
    outcome = local_outcome(one, node="fog-a", now=1.0, value=b"1")
    assert (outcome.why, outcome.predicted_ms) == (("soonest", 2000.0) if told else (msgspec.UNSET,) * 2)


def test_an_outcome_from_elsewhere_takes_this_nodes_names_reasons_and_route() -> None:
    one = job(why="soonest", predicted=2.0)
    outcome = returned_outcome(one, THEIRS, node="fog-a", now=1.0)
    assert (outcome.id, outcome.task, outcome.node) == ("1", "echo", "gate")
    assert outcome.route == ("worker", "gate", "fog-a")
    assert (outcome.why, outcome.predicted_ms) == ("soonest", 2000.0)


def test_anothers_reasons_are_not_passed_on_as_this_nodes() -> None:
    assert returned_outcome(job(), THEIRS, node="fog-a", now=1.0).why is msgspec.UNSET


def test_a_refusal_goes_to_its_sender_with_the_reason() -> None:
    one = job(correlation=b"c")
    message = refusal_message(refused(one, ErrorCode.OVERLOADED, "too many"), node="fog-a")
    assert (message.topic, message.qos, message.correlation) == (one.reply, 1, b"c")
    outcome = msgspec.json.decode(message.payload, type=Outcome)
    assert (outcome.ok, outcome.error) == (False, TaskError(ErrorCode.OVERLOADED, "too many"))


def test_a_node_gets_an_outcome_in_a_report_and_a_device_gets_it_bare() -> None:
    assert encode_outcome(THEIRS, sender_of(job())) == encode(THEIRS)
    written = encode_outcome(THEIRS, sender_of(job(origin="fog-b")), wait_ms=5.0)
    report = msgspec.json.decode(written, type=Report)
    assert report == Report(outcome=THEIRS, wait_ms=5.0)


def test_an_outcome_is_sent_so_that_it_arrives() -> None:
    message = outcome_message(sender_of(job()), b"{}")
    assert (message.qos, message.retain) == (1, False)


@pytest.mark.parametrize("stage", Stage)
def test_a_device_hears_of_every_step(stage: Stage) -> None:
    step = Progress(stage=stage, id="1", task="echo", node="fog-a")
    message = progress_message(job(), step)
    assert message is not None
    assert (message.topic, message.payload, message.qos) == ("fog/progress/me/1", encode(step), 0)


@pytest.mark.parametrize(("stage", "told"), [("accepted", True), ("placed", False), ("running", True)])
def test_a_node_hears_of_a_job_that_it_is_there_and_that_it_runs(stage: str, told: bool) -> None:
    one = job(origin="fog-b", reply="fog/mesh/fog-b/results/k")
    step = Progress(stage=Stage(stage), id="1", task="echo", node="fog-a")
    message = progress_message(one, step)
    assert (message is not None) is told
    if message is not None:
        assert message.topic == one.reply
        assert msgspec.json.decode(message.payload, type=Report) == Report(progress=step)
