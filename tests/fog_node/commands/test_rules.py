"""`fog-node rules try` says what a message would start; the node itself does not run."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_lines import assert_refused, said_by

TASKS = """
from weighbridge import task

@task(weight="medium")
def mean(readings: list[float], place: str = "here") -> float:
    return sum(readings) / len(readings)

@task(on="seen/{camera}", roles=("operator",))
def shrink(photo: bytes) -> bytes:
    return photo
"""
RULES = r"""
[[rule]]
name = "mean-of-room"
on = "sensors/{room}/window"
when = "readings"
task = "mean"
arguments = { readings = "readings", place = "the {room}" }
id = "{room}-{payload:seq}"
result = "home/{room}/mean"
on_error = "home/{room}/error"
changed = "readings"
every = 10
at_most = "5s"

[[rule]]
name = "all-of-it"
on = "sensors/#"
task = "echo"
weight = "heavy"
"""
WINDOW = '{"seq": 7, "firmware": "1.2", "readings": [20.5, 21.5]}'


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """Options that name a file of tasks and a file of rules."""
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "rules.toml").write_text(RULES)
    return ("--tasks", str(tmp_path / "tasks.py"), "--rules", str(tmp_path / "rules.toml"))


def tried(*arguments: str) -> list[dict[str, Any]]:
    done = said_by("fog_node", "rules", "try", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_each_rule_on_the_topic_is_told_with_all_that_it_would_submit(files: tuple[str, ...]) -> None:
    mean, everything = tried("sensors/kitchen/window", WINDOW, *files)
    assert mean.pop("source").endswith("rules.toml")
    assert mean == {
        "rule": "mean-of-room",
        "task": "mean",
        "weight": "medium",
        "device": "mean-of-room",
        "id": "kitchen-7",
        "arguments": {"readings": [20.5, 21.5], "place": "the kitchen"},
        "value_to": "home/kitchen/mean",
        "failure_to": "home/kitchen/error",
        "unless": ["readings is what it was", "it is not one in 10", "one has come in the last 5 s"],
    }
    assert (everything["weight"], everything["id"]) == ("heavy", "<made by the node>")
    assert everything["arguments"] == json.loads(WINDOW)
    own = "fog/results/all-of-it/<made by the node>"
    assert (everything["outcome_to"], everything["failure_to"]) == (own, own)


def test_a_person_reads_it_in_lines(files: tuple[str, ...]) -> None:
    done = said_by("fog_node", "rules", "try", "sensors/kitchen/window", WINDOW, *files)
    assert '  arguments  {"readings":[20.5,21.5],"place":"the kitchen"}\n' in done.stdout
    assert "  value to   home/kitchen/mean\n" in done.stdout


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ("{}", "when = readings does not hold"),
        (
            '{"readings": ["warm"], "seq": 1}',
            "bad-arguments: mean: parameter 'readings[0]': expected `float`",
        ),
        ('{"readings": [1]}', "bad-payload: the payload has nothing for {payload:seq}"),
        ("{", "bad-payload: not JSON"),
    ],
)
def test_why_a_rule_would_start_nothing_is_told(files: tuple[str, ...], payload: str, sentence: str) -> None:
    done = said_by("fog_node", "rules", "try", "sensors/kitchen/window", payload, *files, "--json")
    assert sentence in json.loads(done.stdout)[0]["not_because"]


def test_a_message_that_starts_nothing_ends_with_status_1(files: tuple[str, ...]) -> None:
    done = said_by("fog_node", "rules", "try", "sensors/kitchen/window", "{", *files)
    assert (done.returncode, done.stdout.count("  not ")) == (1, 2)


@pytest.mark.parametrize("given", ["-", "@window.json"])
def test_the_payload_may_come_from_elsewhere(files: tuple[str, ...], tmp_path: Path, given: str) -> None:
    """Also one that is no text: for a task that takes bytes."""
    photo = tmp_path / "window.json"
    photo.write_bytes(b"\xff\xd8\n\0")
    given = given.replace("window.json", str(photo))
    with photo.open("rb") as stdin:
        done = said_by("fog_node", "rules", "try", "seen/yard", given, *files, "--json", stdin=stdin)
    (found,) = json.loads(done.stdout)
    assert (found["rule"], found["arguments"], found["roles"]) == ("shrink", "4 bytes", ["operator"])


def test_rules_of_the_settings_file_are_asked_too(files: tuple[str, ...], tmp_path: Path) -> None:
    """The file of a node serves, with all else that is in it."""
    settings = tmp_path / "node.toml"
    lines = ['name = "kitchen"', f'tasks = ["{files[1]}"]', "[[rule]]", 'name = "door"', 'on = "door"']
    settings.write_text("\n".join([*lines, 'task = "echo"', ""]))
    (found,) = tried("door", "OPEN", "--config", str(settings))
    assert (found["rule"], found["arguments"]) == ("door", {"$args": ["OPEN"]})


def test_a_topic_of_no_rule_is_told_with_those_that_there_are(files: tuple[str, ...]) -> None:
    done = said_by("fog_node", "rules", "try", "attic", "ON", *files)
    assert_refused(
        done, "no rule is about attic", "sensors/{room}/window, sensors/#, seen/{camera}", status=1
    )


def test_without_any_rules_it_says_how_to_give_some() -> None:
    assert_refused(said_by("fog_node", "rules", "try", "attic"), "there are none", "--rules FILE", status=1)


@pytest.mark.parametrize(
    ("option", "value", "parts"),
    [
        (
            "--rules",
            "[[rule]]\nname = 'x'\non = 'a'\ntask = 'nope'",
            ["rules.toml", "'x'", "task", "'nope'", "echo"],
        ),
        ("--rules", "[[rule]]\nname = 'x'\nwhen = 1", ["rules.toml", "'x'", "when", "1"]),
        ("--rules", "name = 'x'", ["rules.toml", "'name'", "[[rule]]"]),
        ("--rules", "[[rule", ["rules.toml"]),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(
    tmp_path: Path, option: str, value: str, parts: list[str]
) -> None:
    (tmp_path / "rules.toml").write_text(value)
    done = said_by("fog_node", "rules", "try", "a", option, str(tmp_path / "rules.toml"))
    assert_refused(done, *parts, status=1)


@pytest.mark.parametrize("topic", ["", "tele/+/SENSOR", "tele/#"])
def test_a_filter_is_no_topic(topic: str) -> None:
    assert_refused(said_by("fog_node", "rules", "try", topic), repr(topic), "without + and #", status=1)


def test_a_payload_that_cannot_be_read_is_named(files: tuple[str, ...]) -> None:
    done = said_by("fog_node", "rules", "try", "seen/yard", "@/no/such/file", *files)
    assert_refused(done, "/no/such/file", status=1)
