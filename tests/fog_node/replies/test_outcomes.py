"""What a node sends back, as messages."""

from typing import Any

import msgspec
import pytest

from broker.contract.messages import ErrorCode, Outcome, Progress, Report, Stage, TaskError, encode
from broker.contract.topics import Weight
from fog_node.jobs.answer import Answer
from fog_node.jobs.refusal import refused, sender_of
from fog_node.replies.outcomes import (
    encode_outcome,
    local_outcome,
    outcome_message,
    progress_message,
    refusal_outcome,
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


def test_a_time_of_zero_does_not_travel() -> None:
    one = job(reply=f"fog/results/{'x' * 150}/1")
    outcome = local_outcome(one, node="fog-a", now=0.0, error=TaskError(ErrorCode.EXPIRED, "too late"))
    assert b"_ms" not in encode(outcome)
    late = local_outcome(one, node="fog-a", now=3.0, error=TaskError(ErrorCode.EXPIRED, "it is far too late"))
    assert b"_ms" not in encode_outcome(late, sender_of(one))


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
    refusal = refused(one, ErrorCode.OVERLOADED, "too many")
    message = outcome_message(refusal.sender, refusal_outcome(refusal, node="fog-a"))
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


TO_RULE = Answer(rule="r", result="home/a", retain=True, qos=0)
BARE = Answer(rule="r", result="home/a", value=True)
FAILED = Outcome(ok=False, error=TaskError(ErrorCode.FAILED, "no"), id="1", node="fog-a", route=())


@pytest.mark.parametrize(
    ("answer", "failed", "expected"),
    [
        (Answer(rule="r"), False, ("fog/results/me/1", b"all", False, 1)),
        (Answer(rule="r", value=True), False, ("fog/results/me/1", b"12.5", False, 1)),
        (TO_RULE, False, ("home/a", b"all", True, 0)),
        (BARE, False, ("home/a", b"12.5", False, 1)),
        # Whoever waits for values there could not tell an error from one.
        (BARE, True, ("fog/results/me/1", b"all", False, 1)),
        (TO_RULE, True, ("home/a", b"all", True, 0)),
        (msgspec.structs.replace(TO_RULE, error="home/bad"), True, ("home/bad", b"all", False, 0)),
    ],
)
def test_an_outcome_is_told_as_its_rule_says(
    answer: Answer, failed: bool, expected: tuple[str, bytes, bool, int]
) -> None:
    outcome = FAILED if failed else local_outcome(job(), node="fog-a", now=1.0, value=b"12.5")
    sender = sender_of(job(answer=answer))
    message = outcome_message(sender, encode_outcome(outcome, sender))
    topic, payload, *rest = expected
    payload = payload.replace(b"all", encode(outcome))
    assert (message.topic, message.payload, message.retain, message.qos) == (topic, payload, *rest)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b'"ON"', b"ON"),
        (b'"a \\"\\u00e9\\n"', 'a "é\n'.encode()),
        (b'""', b""),
        (b"null", b"null"),
        (b'{"a":"b"}', b'{"a":"b"}'),
    ],
)
def test_a_value_alone_is_text_as_it_is_and_anything_else_as_json(value: bytes, told: bytes) -> None:
    sender = sender_of(job(answer=BARE))
    outcome = local_outcome(job(), node="fog-a", now=1.0, value=value)
    assert outcome_message(sender, encode_outcome(outcome, sender)).payload == told


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
