"""Which messages a rule passes over."""

import json
from typing import Any

import pytest

from fog_node.rules.conditions import MOST_SETS
from fog_node.rules.rulebook import Rulebook
from fog_node.rules.verdict import Firing, PassedOver
from fog_tasks.declaration.task import task
from tests.support.rules import rule, verdict


@task
def note(**keys: Any) -> None: ...


def reasons(book: Rulebook, *messages: tuple[float, Any], topic: str = "in/hall") -> list[str]:
    """Why each message, at its second, is passed over; empty where it is not."""
    found = (verdict(book, json.dumps(value).encode(), topic, now=now) for now, value in messages)
    return [one.reason if isinstance(one, PassedOver) else "" for one in found]


@pytest.mark.parametrize(
    ("when", "payload", "holds"),
    [
        ("ENERGY.Power > `5`", b'{"ENERGY":{"Power":6}}', True),
        ("ENERGY.Power > `5`", b'{"ENERGY":{"Power":5}}', False),
        ("ENERGY.Power > `5`", b'{"ENERGY":{"Power":"6"}}', False),
        ("ENERGY.Power > `5`", b"{}", False),
        ("ENERGY.Power > `5`", b"OFFLINE", False),
        ("@ == 'ON'", b"ON", True),
        ("@ > `5`", b"5.5", True),
        ("occupancy", b'{"occupancy":false}', False),
        ("occupancy", b'{"occupancy":true}', True),
        ("items", b'{"items":[]}', False),
        ("count", b'{"count":0}', True),
        ("text", b'{"text":""}', False),
    ],
)
def test_when_is_true_as_jmespath_says(when: str, payload: bytes, holds: bool) -> None:
    found = verdict(rule(f'when = "{when}"', note), payload)
    assert isinstance(found, Firing if holds else PassedOver)


def test_one_in_so_many_is_let_through() -> None:
    book = rule("every = 3", note)
    assert reasons(book, *((0, {}) for _ in range(7))) == ["", "every", "every", "", "every", "every", ""]


def test_each_set_of_levels_has_its_own_count_and_pause() -> None:
    book = rule("at_most = '5s'", note)
    assert reasons(book, (0, 1), (4.9, 2), (5, 3), (9, 4), (10, 5)) == ["", "at_most", "", "at_most", ""]
    assert reasons(book, (10, 1), topic="in/cellar") == [""]


def test_what_has_not_changed_or_is_not_there_is_passed_over() -> None:
    book = rule("changed = 'POWER'", note)
    said = [{"POWER": "ON"}, {"POWER": "ON", "Time": 2}, {"Time": 3}, {"POWER": "ON"}, {"POWER": "OFF"}]
    assert reasons(book, *((0, value) for value in said)) == ["", "changed", "changed", "changed", ""]
    assert reasons(book, (0, {"POWER": {"a": 1, "b": 2}}), (0, {"POWER": {"b": 2, "a": 1}})) == [
        "",
        "changed",
    ]


def test_a_change_that_came_too_soon_is_told_when_its_time_has_come() -> None:
    book = rule("changed = 'POWER'\nat_most = '5s'", note)
    on, off = {"POWER": "ON"}, {"POWER": "OFF"}
    assert reasons(book, (0, on), (1, off), (2, off), (6, off), (7, off)) == [
        "",
        "at_most",
        "at_most",
        "",
        "changed",
    ]


def test_of_changes_one_in_so_many_is_let_through() -> None:
    book = rule("changed = '@'\nevery = 2", note)
    assert reasons(book, *((0, value) for value in [1, 2, 2, 3, 4])) == ["", "every", "changed", "", "every"]


def test_when_stands_before_what_remembers() -> None:
    book = rule("when = '@ > `5`'\nevery = 2", note)
    assert reasons(book, *((0, value) for value in [6, 1, 7, 1, 8])) == ["", "when", "every", "when", ""]


def test_what_the_broker_had_kept_starts_nothing_unless_it_is_wanted() -> None:
    found = verdict(rule("", note), b"{}", replayed=True)
    assert isinstance(found, PassedOver)
    assert found.reason == "retained"
    assert isinstance(verdict(rule("retained = true", note), b"{}", replayed=True), Firing)
    assert isinstance(verdict(rule("", note), b"{}", retain=True), Firing)


def test_so_many_sets_of_levels_are_remembered_and_the_latest_stay() -> None:
    book = rule("changed = '@'", note)
    for number in range(MOST_SETS + 1):
        verdict(book, b"1", f"in/{number}")
    assert isinstance(verdict(book, b"1", f"in/{MOST_SETS}"), PassedOver)
    assert isinstance(verdict(book, b"1", "in/1"), PassedOver)
    assert isinstance(verdict(book, b"1", "in/0"), Firing)
