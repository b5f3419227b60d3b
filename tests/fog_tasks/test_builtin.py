import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.topics import Weight
from fog_tasks import BadArguments, builtin
from fog_tasks.loading import load
from fog_tasks.progress import reporting

REGISTRY = load([])


def run(name: str, payload: bytes) -> Any:
    one = REGISTRY[name]
    one.check(payload)
    return json.loads(one.run(*one.read(payload)))


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"", None),
        (b"null", None),
        (b'"text"', "text"),
        (b"[1, 2]", [1, 2]),
        (b'{"a": {"b": 1}}', {"a": {"b": 1}}),
        (b'{"values": [1], "named": 2, "self": 3}', {"values": [1], "named": 2, "self": 3}),
        (b'{"a": 1, "$deadline": 5}', {"a": 1}),
    ],
)
def test_echo_returns_the_payload(payload: bytes, value: Any) -> None:
    assert run("echo", payload) == value


@given(st.dictionaries(st.text().filter(lambda key: not key.startswith("$")), st.integers(), min_size=1))
def test_echo_returns_any_object(value: dict[str, int]) -> None:
    assert run("echo", json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("payload", "value"),
    [(b"[1,2,3]", "6"), (b'{"numbers":[1,2,3]}', "6"), (b"[1,2.5]", "3.5"), (b"", "0"), (b"7", "7")],
)
def test_sum_keeps_whole_numbers_whole(payload: bytes, value: str) -> None:
    one = REGISTRY["sum"]
    assert one.run(*one.read(payload)).decode() == value


@given(st.lists(st.integers()))
def test_sum_adds_as_python_does(numbers: list[int]) -> None:
    assert run("sum", json.dumps(numbers).encode()) == sum(numbers)


def test_sleep_reports_how_far_it_is() -> None:
    heard: list[float] = []
    with reporting(heard.append):
        assert builtin.sleep(0.01) == 0.01
    assert heard == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


@pytest.mark.parametrize("payload", [b"-1", b"3601", b'"x"', b""])
def test_sleep_is_bounded(payload: bytes) -> None:
    with pytest.raises(BadArguments, match="seconds"):
        REGISTRY["sleep"].check(payload)


@pytest.mark.parametrize("name", ["light_power", "medium_power", "heavy_power"])
def test_the_originals_bodies_compute_what_the_original_did(name: str) -> None:
    assert run(name, b"20") == pow(3_523_523_523, 20) % 4


@pytest.mark.parametrize(
    ("name", "weight", "default"),
    [
        ("light_power", Weight.LIGHT, 3_423),
        ("medium_power", Weight.MEDIUM, 342_323),
        ("heavy_power", Weight.HEAVY, 442_323),
    ],
)
def test_the_originals_bodies_have_its_weights_and_numbers(name: str, weight: Weight, default: int) -> None:
    entry = REGISTRY[name].catalog_entry()
    assert entry.weight is weight
    assert entry.parameters["properties"]["n"]["default"] == default


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_built_in_task_tells_what_it_is(name: str) -> None:
    assert REGISTRY[name].catalog_entry().about.endswith((".", "default."))
