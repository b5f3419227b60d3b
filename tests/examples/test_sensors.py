import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fog_tasks import BadArguments
from fog_tasks.loading import load
from tests.support.mosquitto_clients import request
from tests.support.phone import value
from tests.support.programs import fog_node

ANOMALIES = load([str(Path(__file__).parents[2] / "examples/tasks/sensors.py")])["anomalies"]
POWER_LOST, UNPLUGGED = 37, 90


def verdict(payload: bytes) -> dict[str, Any]:
    ANOMALIES.check(payload)
    found: dict[str, Any] = json.loads(ANOMALIES.run(*ANOMALIES.read(payload)))
    return found


def cold_room() -> list[float]:
    lines = (Path(__file__).parent / "data" / "cold_room.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return [float(row["celsius"]) for row in rows]


def test_both_faults_of_the_cold_rooms_probe_are_found_and_nothing_else() -> None:
    found = verdict(json.dumps(cold_room()).encode())
    assert not found["normal"]
    assert found["anomalies"] == [POWER_LOST, UNPLUGGED]
    assert found["scores"][POWER_LOST] > 0 > found["scores"][UNPLUGGED]
    assert len(found["scores"]) == 120


def test_the_cold_room_without_faults_is_normal() -> None:
    healthy = [celsius for celsius in cold_room() if abs(celsius) < 50]
    assert verdict(json.dumps(healthy).encode())["normal"]


def test_the_scores_are_those_of_the_formula_worked_by_hand() -> None:
    """Median 3, deviations 2 1 0 1 97, their median 1: 0.6745 (x - 3) / 1."""
    assert verdict(b"[1, 2, 3, 4, 100]")["scores"] == [-1.349, -0.674, 0.0, 0.674, 65.427]


def test_the_object_form_takes_a_threshold() -> None:
    assert verdict(b'{"window": [1, 2, 3, 4, 6], "threshold": 2}')["anomalies"] == [4]
    assert verdict(b'{"window": [1, 2, 3, 4, 6]}')["anomalies"] == []


def test_one_step_in_a_constant_window_is_found() -> None:
    """More than half of the readings equal makes the median of the deviations 0."""
    assert verdict(json.dumps([20.0] * 30 + [25.0]).encode())["anomalies"] == [30]


def test_a_constant_window_is_normal() -> None:
    assert verdict(b"[20, 20, 20]") == {"normal": True, "anomalies": [], "scores": [0.0, 0.0, 0.0]}


@pytest.mark.parametrize("payload", [b"", b"[1, 2]", b'{"window": []}'])
def test_too_few_readings_are_a_clear_failure(payload: bytes) -> None:
    with pytest.raises(ValueError, match="a window needs at least 3 readings"):
        verdict(payload)


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b'[1, "hot", 3]', r"parameter 'window\[1\]': expected `float`, got `str`"),
        (b'{"window": [1, 2, 3], "threshold": 0}', "parameter 'threshold': expected `float` > 0.0"),
        (b'{"readings": [1, 2, 3]}', "has no parameter 'readings'"),
    ],
)
def test_wrong_arguments_are_named(payload: bytes, sentence: str) -> None:
    with pytest.raises(BadArguments, match=sentence):
        verdict(payload)


@given(st.lists(st.integers(-10_000, 10_000), min_size=3), st.integers(-1_000, 1_000))
def test_what_is_found_does_not_depend_on_where_zero_is(window: list[int], shift: int) -> None:
    moved = [reading + shift for reading in window]
    assert verdict(json.dumps(window).encode()) == verdict(json.dumps(moved).encode())


def test_a_sensor_publishes_to_a_node_and_gets_its_verdict(tmp_path: Path) -> None:
    with fog_node(tmp_path, "--tasks", "examples/tasks/sensors.py") as node:
        outcome = request(node.port, "fog/tasks/auto/anomalies/cold-room/1", json.dumps(cold_room()))
        found: Any = value(outcome)
        assert found["anomalies"] == [POWER_LOST, UNPLUGGED]
        assert value(request(node.port, "fog/tasks/auto/anomalies/cold-room/2", "[4, 4, 4]")) == {
            "normal": True,
            "anomalies": [],
            "scores": [0.0, 0.0, 0.0],
        }
