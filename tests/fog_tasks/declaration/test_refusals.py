import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest

from broker.errors import BadPayload
from fog_tasks import BadArguments, DeclarationError, task


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Place:
    lat: float
    lon: float


@dataclass
class Inverse:
    number: int

    def __post_init__(self) -> None:
        1 / self.number


def refused(function: Callable[..., Any], payload: bytes) -> str:
    one = task(function)
    with pytest.raises(BadArguments) as caught:
        one.check(payload)
    return str(caught.value)


def declare(annotation: Any) -> None:
    def function(value: Any) -> None: ...

    function.__annotations__ = {"value": annotation}
    task(function)


def every_kind(a: int, b: float = 2, *rest: int, c: str = "c", **others: float) -> list[Any]:
    return [a, b, rest, c, others]


def one_list(window: list[float]) -> int:
    return len(window)


def add(*numbers: float) -> float:
    return sum(numbers)


def where(place: Place, colour: Colour = Colour.RED, side: Literal["l", "r"] = "l") -> None:
    pass


def count(n: Annotated[int, msgspec.Meta(ge=0)]) -> int:
    return n


def table(by_number: dict[int, float]) -> None:
    pass


def inverse(of: Inverse) -> None:
    pass


SHAPE = '; an array is a list of arguments: to give window a list send {"window": [...]} or [[...]]'


@pytest.mark.parametrize(
    ("function", "payload", "sentence"),
    [
        (add, b'[1, "x"]', "add: parameter 'numbers[1]': expected `float`, got `str`"),
        (add, b'{"numbers": 5}', "add: parameter 'numbers': expected `array`, got `int`"),
        (add, b'{"n": 5}', "add has no parameter 'n'; it takes (*numbers: float)"),
        (count, b"-1", "count: parameter 'n': expected `int` >= 0"),
        (count, b"true", "count: parameter 'n': expected `int`, got `bool`"),
        (count, b"[1, 2]", "count takes 1 argument, (n: int), not 2"),
        (count, b"", "count: parameter 'n' is missing; it takes (n: int)"),
        (count, b'{"$args": [1], "n": 1}', "count: parameter 'n' is given twice"),
        (one_list, b"[1, 2]", f"one_list takes 1 argument, (window: list[float]), not 2{SHAPE}"),
        (one_list, b"[1]", f"one_list: parameter 'window': expected `array`, got `int`{SHAPE}"),
        (one_list, b'[[1, "x"]]', "one_list: parameter 'window[1]': expected `float`, got `str`"),
        (
            where,
            b'{"place": {"lat": 1}}',
            "where: parameter 'place': object missing required field `lon`",
        ),
        (
            where,
            b'{"place": {"lat": "x", "lon": 1}}',
            "where: parameter 'place.lat': expected `float`, got `str`",
        ),
        (
            where,
            b'[{"lat": 1, "lon": 1}, "pink"]',
            "where: parameter 'colour': invalid enum value 'pink'; it is one of 'red', 'green'",
        ),
        (
            where,
            b'{"place": {"lat": 1, "lon": 1}, "side": "x"}',
            "where: parameter 'side': invalid enum value 'x'; it is one of 'l', 'r'",
        ),
        (
            table,
            b'{"by_number": {"x": 1}}',
            "table: parameter 'by_number', a key: expected `int`, got `str`",
        ),
        (
            every_kind,
            b'{"a": 1, "z": "x"}',
            "every_kind: a named argument: expected `float`, got `str`",
        ),
        (
            inverse,
            b'{"of": {"number": 0}}',
            "inverse: the arguments cannot be converted: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_a_refusal_names_the_parameter_and_what_it_takes(
    function: Callable[..., Any], payload: bytes, sentence: str
) -> None:
    assert refused(function, payload) == sentence


@pytest.mark.parametrize("deep", [b"[" * 900 + b"]" * 900, b"[" * 100_000 + b"]" * 100_000])
def test_deep_nesting_is_refused_and_does_not_end_the_node(deep: bytes) -> None:
    with pytest.raises((BadArguments, BadPayload)):
        task(one_list).check(deep)


class Unknown:
    pass


@pytest.mark.parametrize(
    "annotation",
    [Unknown, list[Unknown], Unknown | None, dict[str, Unknown], object, complex, type, Callable[[int], int]],
)
def test_what_json_cannot_become_is_refused_when_it_is_declared(annotation: Any) -> None:
    with pytest.raises(
        DeclarationError, match=r"^task 'function': parameter 'value' cannot be read from JSON"
    ):
        declare(annotation)


@pytest.mark.parametrize("annotation", ["Missing", "not python", "json.missing", "1 +"])
def test_annotations_that_cannot_be_read_are_refused(annotation: str) -> None:
    with pytest.raises(DeclarationError, match="annotations cannot be read"):
        declare(annotation)
