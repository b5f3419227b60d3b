import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fog_tasks import BadResult
from fog_tasks.declaration.results import encode_value


@dataclass
class Box:
    inside: Any


class Crate(msgspec.Struct):
    inside: Any


def nested(value: Any, depth: int) -> Any:
    """A value in a list in a list."""
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, b"null"),
        (b"hi", b'"aGk="'),
        (datetime(2024, 1, 1, tzinfo=UTC), b'"2024-01-01T00:00:00Z"'),
        (Box((1, 2)), b'{"inside":[1,2]}'),
        ({1: "a"}, b'{"1":"a"}'),
        (2**70, b"1180591620717411303424"),
        ([1.5, None, "null"], b'[1.5,null,"null"]'),
    ],
)
def test_a_value_is_written_as_json(value: Any, written: bytes) -> None:
    assert encode_value(value) == written


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_json_can_hold_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(encode_value(value)) == value


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (1j, "value is of type `complex`: "),
        ({"a": [0, {"b": 1j}]}, "value['a'][1]['b'] is of type `complex`: "),
        (Box(Crate((1, object()))), "value.inside.inside[1] is of type `object`: "),
        ({(1, 2): 3}, "value is of type `dict`: Only dicts with str-like or number-like keys"),
        (["\ud800"], "value[0] is of type `str`: 'utf-8' codec"),
        ([lambda: None], "value[0] is of type `function`: "),
        ([int], "value[0] is of type `type`: "),
    ],
)
def test_what_cannot_be_written_is_named_with_its_place(value: Any, sentence: str) -> None:
    with pytest.raises(BadResult) as caught:
        encode_value(value)
    assert str(caught.value).startswith(f"it returned what cannot be written as JSON: {sentence}")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (math.nan, "value is nan"),
        (1e308 + 1e308, "value is inf"),
        ([1.0, None, -math.inf, math.nan], "value[2] is -inf"),
        ({"a": [None, {"b": math.nan}], "c": math.inf}, "value['a'][1]['b'] is nan"),
        (Box(Crate((1, math.inf))), "value['inside']['inside'][1] is inf"),
        ({"a": {math.inf}}, "value['a'][0] is inf"),
        (nested(math.nan, 500), "is nan"),
    ],
)
def test_what_is_no_number_is_no_value_and_is_not_written_as_null(value: Any, sentence: str) -> None:
    """A device could not tell it from a value that is missing."""
    with pytest.raises(BadResult, match=f"no number in JSON: .*{re.escape(sentence)}; return None"):
        encode_value(value)


def test_what_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(BadResult, match="contains itself"):
        encode_value(loop)
