"""What is written can be read, and what a person types is read as meant."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.messages import (
    Books,
    Catalog,
    CatalogEntry,
    ErrorCode,
    HandOff,
    Load,
    NodeState,
    Outcome,
    Progress,
    Report,
    Stage,
    TaskError,
    decode_catalog,
    decode_hand_off,
    decode_outcome,
    decode_progress,
    decode_report,
    decode_state,
    encode,
)
from broker.contract.submissions import Options, Submission, read_submission
from broker.contract.topics import Weight
from broker.errors import BadPayload

OUTCOME = Outcome(ok=True, value=msgspec.Raw(b"6"), id="1", task="sum", node="a", route=("a",))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
DECODERS = (decode_outcome, decode_state, decode_catalog, decode_report, decode_hand_off, read_submission)


def test_an_outcome_begins_with_ok() -> None:
    assert encode(OUTCOME).startswith(b'{"ok":true,"value":6,"id":"1",')


def test_a_failed_outcome_has_an_error_in_place_of_a_value() -> None:
    error = TaskError(ErrorCode.EXPIRED, "too late")
    found = msgspec.json.decode(encode(Outcome(ok=False, error=error, id="1", node="a", route=("a",))))
    assert found["error"] == {"code": "expired", "message": "too late"}
    assert "value" not in found


@pytest.mark.parametrize(
    ("message", "decode"),
    [
        (OUTCOME, decode_outcome),
        (Progress(stage=Stage.RUNNING, id="1", task="sum", node="a", percent=5.0), decode_progress),
        (
            NodeState(
                node="a",
                online=True,
                version="1",
                load={Weight.LIGHT: Load(queued=1, running=2, slots=3, estimated_wait_ms=4.5)},
                books=Books(accepted=1, open=1),
                trouble=("x",),
            ),
            decode_state,
        ),
        (
            Catalog(
                node="a",
                tasks=(CatalogEntry(task="t", weight=Weight.HEAVY, parameters={}, timeout_s=1.0),),
            ),
            decode_catalog,
        ),
        (Report(outcome=OUTCOME), decode_report),
        (HandOff(device="d", id="1", payload=b"\0\xff", route=("a",), budget_ms=1.5), decode_hand_off),
    ],
)
def test_messages_come_back_as_they_were(message: Any, decode: Any) -> None:
    assert encode(decode(encode(message))) == encode(message)


@given(st.binary(max_size=60))
def test_no_bytes_break_a_decoder(data: bytes) -> None:
    for decode in DECODERS:
        with contextlib.suppress(BadPayload):
            decode(data)


@given(JSON)
def test_a_payload_is_the_arguments(value: Any) -> None:
    if isinstance(value, dict):
        value = {key.replace("$", ""): item for key, item in value.items()}
    submission = read_submission(msgspec.json.encode(value))
    match value:
        case dict():
            assert submission == Submission(named=value)
        case list():
            assert submission == Submission(arguments=tuple(value))
        case _:
            assert submission == Submission(arguments=(value,))


@pytest.mark.parametrize("payload", [b"", b" ", b"\n\t "])
def test_an_empty_payload_is_no_arguments(payload: bytes) -> None:
    assert read_submission(payload) == Submission()


def test_options_are_taken_out_of_an_object() -> None:
    submission = read_submission(b'{"a": 1, "$deadline": 0.5, "$max_hops": 2, "$reply": "x"}')
    assert submission.named == {"a": 1}
    assert submission.options == Options(deadline=0.5, max_hops=2, reply="x")


def test_args_gives_positional_arguments_beside_options() -> None:
    submission = read_submission(b'{"$args": [1, 2], "scale": 3, "$deadline": 1}')
    assert (submission.arguments, submission.named) == ((1, 2), {"scale": 3})


@pytest.mark.parametrize(
    ("payload", "part"),
    [
        (b'{"$deadlin": 1}', "deadlin"),
        (b'{"$deadline": 0}', "deadline"),
        (b'{"$deadline": "soon"}', "deadline"),
        (b'{"$max_hops": -1}', "max_hops"),
        (b'{"$args": 1}', "args"),
        (b"{", "not JSON"),
        (b"hello", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"NaN", "not JSON"),
    ],
)
def test_a_bad_payload_is_refused_in_a_sentence(payload: bytes, part: str) -> None:
    with pytest.raises(BadPayload, match=part):
        read_submission(payload)
