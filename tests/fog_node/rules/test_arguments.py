"""What a rule submits for a message."""

import json
from typing import Annotated, Any, Literal

import msgspec
import pytest

from broker.contract.messages import ErrorCode
from fog_node.errors import RuleFault
from fog_node.rules.verdict import Unfit
from fog_tasks.declaration.task import Task, task
from tests.support.rules import firing, rule, verdict


class Reading(msgspec.Struct):
    degrees: float


@task
def energy(watts: float, plug: str, unit: str = "W") -> None: ...
@task
def state(place: str, value: str) -> None: ...
@task
def number(value: int | None = None) -> None: ...
@task
def anything(**keys: Any) -> None: ...
@task
def positional(*values: float, **keys: Any) -> None: ...
@task
def whole(place: str, reading: dict[str, Any], note: str = "") -> None: ...
@task
def unannotated(reading) -> None: ...  # type: ignore[no-untyped-def]
@task
def either(place: int | str) -> None: ...
@task
def nothing() -> None: ...
@task
def picture(image: bytes) -> None: ...
@task
def room(place: int, floor: float, lit: bool = False) -> None: ...


TASMOTA = b'{"Time":"2026-11-28T20:00:00","ENERGY":{"Power":63,"Voltage":231},"TempUnit":"C"}'


def submitted(keys: str, task: Task[..., Any], payload: bytes, topic: str = "in/hall", **more: Any) -> Any:
    found = firing(rule(keys, task, **more), payload, topic).payload
    task.check(found)
    return json.loads(found)


def test_arguments_are_jmespath_levels_and_literals() -> None:
    keys = "arguments = { watts = 'ENERGY.Power', plug = 'at-{place}', unit = \"'kW'\" }"
    assert submitted(keys, energy, TASMOTA) == {"watts": 63, "plug": "at-hall", "unit": "kW"}
    keys = "arguments = { watts = 5, plug = '{payload:TempUnit}-{place}' }"
    assert submitted(keys, energy, TASMOTA) == {"watts": 5, "plug": "C-hall"}


def test_jmespath_with_braces_is_no_template() -> None:
    keys = "arguments = { both = '{power: ENERGY.Power, place: ENERGY.Voltage}' }"
    assert submitted(keys, anything, TASMOTA) == {"both": {"power": 63, "place": 231}}


def test_what_the_payload_lacks_is_left_to_the_default() -> None:
    keys = "arguments = { watts = 'ENERGY.Power', plug = '{place}', unit = 'Unit' }"
    assert submitted(keys, energy, TASMOTA) == {"watts": 63, "plug": "hall"}


@task
def lenient(
    one: float | None,
    two: Literal["a"] | None,
    three: Any,
    four: dict[str, int] | None,
) -> None: ...


def test_a_task_that_takes_null_is_given_it_where_nothing_is_found() -> None:
    names = ("one", "two", "three", "four")
    keys = "".join(f"arguments.{name} = 'a.b'\n" for name in names)
    assert submitted(keys, lenient, b"{}") == dict.fromkeys(names)


@task
def strict(value: Annotated[int, msgspec.Meta(ge=1)] | Literal["x"]) -> None: ...
@task
def structured(value: Reading) -> None: ...


@pytest.mark.parametrize("task", [strict, structured])
def test_of_a_task_that_takes_no_null_it_is_told_what_found_nothing(task: Task[..., Any]) -> None:
    found = verdict(rule("arguments = { value = 'a.b' }", task), b"{}")
    assert isinstance(found, Unfit)
    assert (found.code, found.message) == ("bad-arguments", "value = a.b finds nothing in the payload")


@pytest.mark.parametrize(
    ("task", "payload", "expected"),
    [
        (state, b'{"value":"ON","linkquality":80,"$reply":"x"}', {"value": "ON", "place": "hall"}),
        (state, b"ON", {"value": "ON", "place": "hall"}),
        (state, b"23.5 C\n\0", {"value": "23.5 C", "place": "hall"}),
        (state, b"23.5", {"value": "23.5", "place": "hall"}),
        (state, b"true", {"value": "true", "place": "hall"}),
        (state, b'"ON"', {"value": "ON", "place": "hall"}),
        (state, b'{"place":"cellar","value":"ON"}', {"value": "ON", "place": "hall"}),
        (
            whole,
            b'{"temperature":21,"place":"x"}',
            {"place": "hall", "reading": {"temperature": 21, "place": "x"}},
        ),
        (whole, b'{"reading":{"a":1},"b":2}', {"place": "hall", "reading": {"a": 1}}),
        (number, b'{"a":1}', {}),
        (unannotated, b'{"a":1}', {"reading": {"a": 1}}),
        (number, b"7", {"value": 7}),
        (number, b"null", {"value": None}),
        (number, b"", {}),
        (nothing, b"pressed", {}),
        (anything, b'{"a":1,"$deadline":2}', {"a": 1}),
        (positional, b"2", {"$args": [2]}),
    ],
)
def test_without_arguments_the_payload_is_taken_as_it_is(
    task: Task[..., Any], payload: bytes, expected: Any
) -> None:
    assert submitted("", task, payload) == expected


def test_an_object_is_no_value_of_a_parameter_that_takes_none() -> None:
    book = rule("", energy, on="in/{plug}")
    assert firing(book, b'{"a":1}').payload == b'{"plug":"hall"}'


def test_bytes_are_handed_on() -> None:
    assert firing(rule("", picture), b"\xff\xd8\xff").payload == b"\xff\xd8\xff"


def test_a_level_is_a_number_where_the_task_takes_one() -> None:
    on = "in/{place}/{floor}/{lit}"
    expected = {"place": 3, "floor": 1.5, "lit": True}
    assert submitted("", room, b"", "in/3/1.5/true", on=on) == expected
    keys = "arguments = { place = '{place}', floor = '{floor}' }"
    assert submitted(keys, room, b"", "in/3/1.5/true", on=on) == expected
    assert submitted("", either, b"", "in/3") == {"place": "3"}
    # What is no number is told by the task's own check.
    assert json.loads(firing(rule("", room, on=on), b"", "in/hall/1/x").payload)["place"] == "hall"


@pytest.mark.parametrize(
    ("keys", "payload", "code", "said"),
    [
        ("", b"\xff\xfe\x00", ErrorCode.BAD_PAYLOAD, "UTF-16"),
        ("", b"\x80", ErrorCode.BAD_PAYLOAD, "byte 0 is not UTF-8"),
        ("", b'{"temperature": nan}', ErrorCode.BAD_PAYLOAD, "NaN and infinity"),
        ("", b"[" * 100_000, ErrorCode.BAD_PAYLOAD, "not JSON"),
        ("arguments = { value = 'length(@)' }", b"5", ErrorCode.BAD_ARGUMENTS, "length()"),
        (
            "arguments = { value = 'Power' }",
            b'{"power":1}',
            ErrorCode.BAD_ARGUMENTS,
            "value = Power finds nothing in the payload; for the text itself write \"'Power'\"",
        ),
        ("arguments = { value = 'a.b' }", b"{}", ErrorCode.BAD_ARGUMENTS, "value = a.b finds nothing in the"),
        ("arguments = { value = '{payload:seq}' }", b"{}", ErrorCode.BAD_PAYLOAD, "{payload:seq}"),
        ("arguments = { value = '{payload:a}' }", b'{"a":[1]}', ErrorCode.BAD_PAYLOAD, "{payload:a}"),
    ],
)
def test_a_message_that_cannot_become_arguments_is_told_so(
    keys: str, payload: bytes, code: ErrorCode, said: str
) -> None:
    found = verdict(rule(keys, state), payload)
    assert isinstance(found, Unfit)
    assert found.code is code
    assert said in found.message


@pytest.mark.parametrize(
    ("keys", "task", "said"),
    [
        ("arguments = { wats = 'Power', plug = '{place}' }", energy, "no parameter 'wats'"),
        ("arguments = { plug = '{place}' }", energy, "needs watts"),
        ("arguments = { watts = 'a b', plug = '{place}' }", energy, "'a b' is no JMESPath"),
        (
            "arguments = { watts = 'DS18B20-1.Power', plug = '{place}' }",
            energy,
            "is put in double quotes: '\"DS18B20-1\".Power'",
        ),
        ("arguments = { watts = 'power(@)', plug = '{place}' }", energy, "no function power"),
        ("arguments = { watts = '&power', plug = '{place}' }", energy, "& stands before"),
        ("arguments = { watts = 5, plug = '{plug}' }", energy, "{plug} is no level of its topics; {place}"),
        ("arguments = { watts = 5, plug = '{place}-{plug}' }", energy, "{plug} is no level of its topics"),
        ("arguments = { image = '@' }", picture, "takes the payload itself"),
        ("arguments = { '$reply' = 'x' }", anything, "no parameter '$reply'"),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_start(keys: str, task: Task[..., Any], said: str) -> None:
    with pytest.raises(RuleFault) as caught:
        rule(keys, task)
    assert str(caught.value).startswith("rules.toml: rule 'one': arguments: ")
    assert said in str(caught.value)
