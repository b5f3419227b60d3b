import enum
import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import kombu.serialization
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fog_tasks import BadArguments, task


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Place:
    lat: float
    lon: float


class Reading(msgspec.Struct, frozen=True):
    taken: datetime
    celsius: float


def seen_by(annotation: Any, payload: bytes) -> Any:
    """What a function with one parameter of this annotation is called with."""
    seen = []

    def function(value: Any) -> None:
        seen.append(value)

    function.__annotations__ = {"value": annotation}
    one = task(function)
    one.run(*one.read(payload))
    return seen[0]


@pytest.mark.parametrize(
    ("annotation", "payload", "value"),
    [
        (int, b"3", 3),
        (float, b"3", 3.0),
        (list[float], b"[[1, 2.5]]", [1.0, 2.5]),
        (set[int], b"[[1, 1]]", {1}),
        (tuple[int, str], b'[[1, "a"]]', (1, "a")),
        (dict[int, str], b'{"value": {"1": "a"}}', {1: "a"}),
        (int | None, b"null", None),
        (Colour, b'"red"', Colour.RED),
        (Literal["a", "b"], b'"b"', "b"),
        (date, b'"2024-02-29"', date(2024, 2, 29)),
        (timedelta, b'"PT1.5S"', timedelta(seconds=1.5)),
        (Place, b'{"value": {"lat": 48, "lon": 11.5}}', Place(48.0, 11.5)),
        (list[Place], b'[[{"lat": 1, "lon": 2}]]', [Place(1.0, 2.0)]),
        (
            Reading,
            b'{"value": {"taken": "2024-01-01T00:00:00Z", "celsius": 4}}',
            Reading(datetime(2024, 1, 1, tzinfo=UTC), 4.0),
        ),
        (Annotated[int, msgspec.Meta(ge=0)], b"0", 0),
        (Any, b'[{"a": [1]}]', {"a": [1]}),
    ],
)
def test_json_becomes_what_the_annotation_says(annotation: Any, payload: bytes, value: Any) -> None:
    seen = seen_by(annotation, payload)
    assert seen == value
    assert type(seen) is type(value)


@given(
    st.builds(Reading, st.datetimes(timezones=st.just(UTC)), st.floats(allow_nan=False, allow_infinity=False))
)
def test_what_is_written_as_json_comes_back_as_it_was(reading: Reading) -> None:
    assert seen_by(Reading, msgspec.json.encode([reading])) == reading


@given(st.dictionaries(st.integers(), st.uuids()))
def test_keys_that_json_turned_into_text_come_back(table: dict[int, UUID]) -> None:
    assert seen_by(dict[int, UUID], msgspec.json.encode([table])) == table


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_arguments_are_the_same_after_celery_carried_them(value: Any) -> None:
    """The node checks arguments fresh from JSON, the worker what kombu's JSON made of them."""
    kind, encoding, carried = kombu.serialization.dumps([[value], {}], "json")
    arguments, named = kombu.serialization.loads(carried, kind, encoding)
    seen: list[Any] = []
    task(lambda one: seen.extend([one])).run(arguments, named)
    assert seen == [value]


def test_bytes_travel_through_celery_as_bytes() -> None:
    kind, encoding, carried = kombu.serialization.dumps([[b"\xff\x00"], {}], "json")
    arguments, named = kombu.serialization.loads(carried, kind, encoding)

    @task
    def size(photo: bytes) -> int:
        return len(photo)

    assert size.run(arguments, named) == b"2"


def every_kind(a: int, b: float = 2, *rest: int, c: str = "c", **others: float) -> list[Any]:
    return [a, b, rest, c, others]


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"1", [1, 2, [], "c", {}]),
        (b"[1]", [1, 2, [], "c", {}]),
        (b"[1, 3, 4, 5]", [1, 3.0, [4, 5], "c", {}]),
        (b'{"a": 1, "c": "d"}', [1, 2, [], "d", {}]),
        (b'{"a": 1, "z": 5}', [1, 2, [], "c", {"z": 5.0}]),
        (b'{"$args": [1, 3, 4], "c": "d"}', [1, 3.0, [4], "d", {}]),
        # As in Python, **others takes the name that *rest has inside the function.
        (b'{"a": 1, "rest": 5}', [1, 2, [], "c", {"rest": 5.0}]),
    ],
)
def test_arguments_find_their_parameters(payload: bytes, value: list[Any]) -> None:
    one = task(every_kind)
    assert json.loads(one.run(*one.read(payload))) == value


def test_an_object_fills_collected_arguments_under_their_name() -> None:
    @task
    def add(*numbers: int) -> int:
        return sum(numbers)

    assert add.run(*add.read(b'{"numbers": [1, 2, 3]}')) == b"6"


def test_a_default_that_json_cannot_hold_is_passed_as_it_is() -> None:
    nothing = object()

    @task
    def same(value: Any = nothing) -> bool:
        return value is nothing

    assert same.run((), {}) == b"true"


@pytest.mark.parametrize("limit", [math.inf, -math.inf, math.nan])
def test_a_default_that_is_no_number_in_json_is_not_in_the_schema(limit: float) -> None:
    """There it would be null, which the parameter does not take."""

    @task
    def repeat(value: float = limit) -> str:
        return str(value)

    assert repeat.run((), {}) == f'"{limit}"'.encode()
    assert "default" not in repeat.catalog_entry().parameters["properties"]["value"]


def test_parameters_may_have_any_name() -> None:
    @task
    def odd(self: int, name: int, __under: int, *, __struct_fields__: int = 0) -> int:
        return self + name + __under + __struct_fields__

    assert odd.run((), {"self": 1, "name": 2, "__under": 3, "__struct_fields__": 4}) == b"10"
    assert odd.catalog_entry().parameters["required"] == ["self", "name", "__under"]


def where(place: Place, colour: Colour = Colour.RED, side: Literal["l", "r"] = "l") -> None:
    pass


def test_the_schema_describes_the_object_form() -> None:
    def function(a: int, *numbers: float, side: Literal["l", "r"] = "l") -> None: ...

    assert task(function).catalog_entry().parameters == {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "numbers": {"type": "array", "items": {"type": "number"}, "default": []},
            "side": {"enum": ["l", "r"], "default": "l"},
        },
        "required": ["a"],
        "additionalProperties": False,
    }


def test_the_schema_holds_the_types_it_refers_to() -> None:
    schema = task(where).catalog_entry().parameters
    assert schema["properties"]["place"] == {"$ref": "#/$defs/Place"}
    assert schema["$defs"]["Place"]["required"] == ["lat", "lon"]
    assert json.loads(msgspec.json.encode(schema)) == schema


def test_the_schema_of_further_names_is_that_of_their_annotation() -> None:
    schema = task(every_kind).catalog_entry().parameters
    assert schema["additionalProperties"] == {"type": "number"}
    assert set(schema["properties"]) == {"a", "b", "c"}


@pytest.mark.parametrize("annotation", [bytes, Annotated[bytes, msgspec.Meta(max_length=3)]])
def test_one_required_parameter_of_bytes_gets_the_payload_raw(annotation: Any) -> None:
    assert seen_by(annotation, b"\xff\x00") == b"\xff\x00"


def test_raw_bytes_are_held_to_their_annotation() -> None:
    def tiny(photo: Annotated[bytes, msgspec.Meta(max_length=3)]) -> None: ...

    with pytest.raises(BadArguments, match="parameter 'photo': expected `bytes` of length <= 3"):
        task(tiny).run((b"four",), {})


def test_bytes_beside_another_required_parameter_are_base64() -> None:
    @task
    def store(data: bytes, *, name: str) -> bytes:
        return data + name.encode()

    assert not store.raw
    assert store.run(*store.read(b'{"data": "aGk=", "name": "!"}')) == b'"aGkh"'


def test_the_schema_of_a_raw_payload_says_that_it_is_not_json() -> None:
    def size(photo: bytes) -> None: ...

    entry = task(size).catalog_entry()
    assert entry.raw
    assert entry.parameters == {"contentMediaType": "application/octet-stream"}
