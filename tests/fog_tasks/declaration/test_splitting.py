"""Tasks that can be done in parts: the declaration, and the steps that workers run."""

import base64
import json
from typing import Any

import pytest

from fog_tasks import BadArguments, BadResult, DeclarationError, Registry, task
from fog_tasks.declaration.splitting import MOST_PARTS, MergeStep, SplitStep
from fog_tasks.declaration.task import Task


def deal(arguments: dict[str, Any], parts: int) -> list[dict[str, Any]]:
    numbers = arguments["numbers"]
    return [{**arguments, "numbers": numbers[start::parts]} for start in range(parts)]


@task(weight="medium", timeout=7, split=deal, merge=sum)
def scaled_sum(numbers: list[float], factor: float = 1.0) -> float:
    """Add up numbers."""
    return factor * sum(numbers)


def halves(arguments: dict[str, Any], _parts: int) -> list[dict[str, bytes]]:
    data = arguments["data"]
    return [{"data": data[: len(data) // 2]}, {"data": data[len(data) // 2 :]}]


@task(weight="medium", split=halves, merge=sum)
def count_bytes(data: bytes) -> int:
    """Count bytes."""
    return len(data)


def parts_of(step: SplitStep, count: int, payload: bytes) -> list[bytes]:
    """What the step makes of a payload after its way to the worker, where bytes become base64."""
    (number, raw), named = step.read(SplitStep.payload(count, payload))
    arguments = json.loads(json.dumps([number, base64.b64encode(raw).decode()]))
    return [base64.b64decode(part) for part in json.loads(step.run(arguments, named))]


def test_a_payload_is_divided_into_payloads_of_the_same_task() -> None:
    parts = parts_of(SplitStep(scaled_sum), 3, b'{"numbers": [1, 2, 3, 4], "factor": 2}')
    assert [json.loads(part) for part in parts] == [
        {"numbers": [1, 4], "factor": 2},
        {"numbers": [2], "factor": 2},
        {"numbers": [3], "factor": 2},
    ]


@pytest.mark.parametrize("payload", [b"[[1, 2, 3, 4, 5]]", b'{"numbers": [1, 2, 3, 4, 5], "factor": 3}'])
def test_the_parts_values_merged_are_the_value_of_the_whole(payload: bytes) -> None:
    values = [scaled_sum.run(*scaled_sum.read(part)) for part in parts_of(SplitStep(scaled_sum), 2, payload)]
    merge = MergeStep(scaled_sum)
    assert merge.run(*merge.read(MergeStep.payload(values))) == scaled_sum.run(*scaled_sum.read(payload))


def test_what_is_no_number_in_json_ends_a_split_and_a_merge() -> None:
    """As null it would be another argument, or another value."""

    def spoil(arguments: dict[str, Any], _parts: int) -> list[dict[str, Any]]:
        return [arguments, {**arguments, "factor": float("inf")}]

    spoilt = Task(scaled_sum.function, name="spoilt", weight="medium", split=spoil, merge=sum)
    with pytest.raises(BadResult, match=r"part 1 of split: .* value\['factor'\] is inf"):
        parts_of(SplitStep(spoilt), 2, b"[[1]]")
    merge = MergeStep(scaled_sum)
    with pytest.raises(BadResult, match="value is inf"):
        merge.run(*merge.read(MergeStep.payload([b"1e308", b"1e308"])))


def test_a_raw_payload_is_divided_into_raw_payloads() -> None:
    assert parts_of(SplitStep(count_bytes), 2, b"\xff\x00abc") == [b"\xff\x00", b"abc"]


def test_the_steps_run_where_the_task_runs_and_as_long() -> None:
    registry = Registry([scaled_sum])
    for name in ("scaled_sum/split", "scaled_sum/merge"):
        step = registry.runnable(name)
        assert step is not None
        assert (step.weight, step.timeout) == ("medium", 7)
    assert list(registry) == ["scaled_sum"]
    assert registry.get("scaled_sum/split") is None


def test_the_catalog_says_that_it_splits() -> None:
    assert scaled_sum.catalog_entry().splits


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("abc", "has to return a list of parts, not str"),
        ([], "has to return a list of parts"),
        ([1], "part 0 of split is not a dictionary"),
        ([{"numbers": "x"}], "part 0 of split: .*numbers"),
        ([{"numbers": [1]}, {"other": 1}], "part 1 of split: .*other"),
        ([{"numbers": [1]}] * (MOST_PARTS + 1), f"returned {MOST_PARTS + 1} parts"),
    ],
)
def test_what_is_no_list_of_parts_is_a_bad_result(returned: Any, sentence: str) -> None:
    def wrong(_arguments: dict[str, Any], _parts: int) -> Any:
        return returned

    @task(weight="medium", split=wrong, merge=sum)
    def add(numbers: list[float]) -> float:
        return sum(numbers)

    with pytest.raises(BadResult, match=sentence):
        parts_of(SplitStep(add), 2, b"[[1]]")


def test_arguments_that_do_not_fit_are_bad_arguments_of_the_split_too() -> None:
    with pytest.raises(BadArguments, match="numbers"):
        parts_of(SplitStep(scaled_sum), 2, b'{"numbers": 5}')


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({"weight": "medium", "split": deal}, "split and merge go together"),
        ({"weight": "medium", "merge": sum}, "split and merge go together"),
        ({"weight": "light", "split": deal, "merge": sum}, "only medium tasks are split"),
        ({"weight": "medium", "split": lambda _: [], "merge": sum}, r"split cannot be called as split\("),
        ({"weight": "medium", "split": deal, "merge": lambda: 0}, r"merge cannot be called as merge\("),
        ({"weight": "medium", "split": 5, "merge": sum}, r"split cannot be called as split\("),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(declared: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):

        @task(**declared)
        def add(numbers: list[float]) -> float:
            return sum(numbers)
