"""`fog-node rules try` says what a message would start; the node itself does not run."""

import json
from pathlib import Path

import pytest

from tests.support.command_lines import assert_refused, said_by

TASKS = """
from weighbridge import task

print("imported")

@task(on="seen/{camera}")
def shrink(photo: bytes) -> bytes:
    return photo
"""
RULES = """
[[rule]]
name = "door"
on = "door/{side}"
when = "open"
task = "echo"
result = "home/{side}"
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """Options that name a file of tasks and a file of rules."""
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "rules.toml").write_text(RULES)
    return ("--tasks", str(tmp_path / "tasks.py"), "--rules", str(tmp_path / "rules.toml"))


def test_a_person_reads_it_in_lines(files: tuple[str, ...]) -> None:
    done = said_by("fog_node", "rules", "try", "door/back", '{\n"open": true}', *files)
    assert (done.returncode, done.stdout.splitlines()[1:4]) == (
        0,
        ["  task       echo (light)", '  arguments  {"open":true}', "  device, id door, <made by the node>"],
    )


def test_a_message_that_starts_nothing_ends_with_status_1(files: tuple[str, ...]) -> None:
    done = said_by("fog_node", "rules", "try", "door/back", "{}", *files)
    sentence = "when = open does not hold: open finds nothing in the payload"
    assert (done.returncode, done.stdout.splitlines()[1]) == (1, f"  not        {sentence}")


@pytest.mark.parametrize("given", ["-", "@photo.jpg"])
def test_the_payload_may_come_from_elsewhere(files: tuple[str, ...], tmp_path: Path, given: str) -> None:
    """Also one that is no text. What a task's file prints is not in the answer."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\n\0")
    given = given.replace("photo.jpg", str(photo))
    with photo.open("rb") as stdin:
        done = said_by("fog_node", "rules", "try", "seen/yard", given, *files, "--json", stdin=stdin)
    (found,) = json.loads(done.stdout)
    assert (found["rule"], found["arguments"]) == ("shrink", "4 bytes")


def test_rules_of_the_settings_file_are_asked_too(files: tuple[str, ...], tmp_path: Path) -> None:
    """The file of a node serves, with all else that is in it."""
    settings = tmp_path / "node.toml"
    lines = ['name = "kitchen"', f'tasks = ["{files[1]}"]', "[[rule]]", 'name = "bell"', 'on = "bell"']
    settings.write_text("\n".join([*lines, 'task = "echo"', ""]))
    done = said_by("fog_node", "rules", "try", "bell", "RING", "--config", str(settings), "--json")
    (found,) = json.loads(done.stdout)
    assert (found["rule"], found["arguments"]) == ("bell", {"$args": ["RING"]})


def test_a_topic_of_no_rule_is_told_with_those_that_there_are(files: tuple[str, ...]) -> None:
    done = said_by("fog_node", "rules", "try", "attic", "ON", *files)
    assert_refused(done, "no rule is about attic", "door/{side}, seen/{camera}", status=1)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["attic"], ["there are none", "--rules FILE"]),
        (["tele/+/SENSOR"], ["'tele/+/SENSOR'", "without + and #"]),
        (["attic", "@/no/such/file"], ["@/no/such/file cannot be read: No such file or directory"]),
        (["attic", "--rules", "/no/such.toml"], ["--rules /no/such.toml: No such file or directory"]),
    ],
)
def test_what_cannot_be_tried_is_told_in_a_sentence(arguments: list[str], parts: list[str]) -> None:
    assert_refused(said_by("fog_node", "rules", "try", *arguments), *parts, status=1)
