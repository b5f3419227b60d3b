import math
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.messages import ErrorCode, Outcome, TaskError
from broker.contract.submissions import read_submission
from device_sim.client.payloads import encode, value_of
from device_sim.errors import TaskFailed, UnreadableAnswer, failure

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.text().filter(lambda key: not key.startswith("$"))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


@dataclass
class Reading:
    celsius: float


@pytest.mark.parametrize(
    ("payload", "deadline", "written"),
    [
        (None, None, b""),
        (None, 0.2, b'{"$deadline":0.2}'),
        ([1, 2], None, b"[1,2]"),
        ((1, 2), None, b"[1,2]"),
        ([1, 2], 0.2, b'{"$args":[1,2],"$deadline":0.2}'),
        ({"a": "é"}, None, '{"a":"é"}'.encode()),
        ({"a": 1}, 5, b'{"a":1,"$deadline":5}'),
        ({"$max_hops": 1}, 5, b'{"$max_hops":1,"$deadline":5}'),
        ("text", None, b'"text"'),
        ("text", 1, b'{"$args":["text"],"$deadline":1}'),
        (False, None, b"false"),
        (b"\xff\x00", None, b"\xff\x00"),
        (memoryview(b"ab"), None, b"ab"),
        (Reading(21.5), None, b'{"celsius":21.5}'),
        (Reading(21.5), 1, b'{"celsius":21.5,"$deadline":1}'),
        ([1], 0.0000001, b'{"$args":[1],"$deadline":0.001}'),
    ],
)
def test_a_payload_is_what_a_person_would_have_typed(
    payload: Any, deadline: float | None, written: bytes
) -> None:
    assert encode(payload, deadline=deadline) == written


@pytest.mark.parametrize(
    ("payload", "deadline", "said"),
    [
        (b"raw", 0.2, "no room for a deadline"),
        ([1], 0.0, "more than 0 seconds"),
        ([1], -1.0, "more than 0 seconds"),
        ([1], math.nan, "more than 0 seconds"),
        ({"$deadline": 1}, 2.0, "given twice"),
        (math.nan, None, "cannot be written as JSON"),
        ([math.inf], None, "cannot be written as JSON"),
        (object(), None, "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_sent_is_refused(payload: Any, deadline: float | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        encode(payload, deadline=deadline)


@given(VALUES, st.none() | st.floats(0.001, 1e6))
def test_a_node_reads_the_same_arguments_with_and_without_a_deadline(
    payload: Any, deadline: float | None
) -> None:
    plain, timed = read_submission(encode(payload)), read_submission(encode(payload, deadline=deadline))
    assert (plain.arguments, plain.named) == (timed.arguments, timed.named)
    assert (timed.options.deadline is None) == (deadline is None)


def outcome(**more: Any) -> Outcome:
    return Outcome(id="1", task="sum", node="a", route=("a",), **more)


def test_the_value_of_a_done_task_is_plain_python() -> None:
    assert value_of(outcome(ok=True, value=msgspec.Raw(b'{"a":[1,null]}'))) == {"a": [1, None]}
    assert value_of(outcome(ok=True)) is None


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_has_a_class_of_its_own(code: ErrorCode) -> None:
    fault = failure(outcome(ok=False, error=TaskError(code, "why")))
    assert fault.code is code
    assert type(fault).__mro__[1] is TaskFailed
    assert str(fault) == f"sum 1: {code}: why"


def test_a_failure_without_an_error_is_said() -> None:
    with pytest.raises(UnreadableAnswer, match="neither"):
        value_of(outcome(ok=False))
