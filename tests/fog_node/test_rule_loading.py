"""A node's rules are gathered from everywhere they may stand."""

from pathlib import Path
from typing import Any

import pytest

from broker.programs.settings_file import InFile
from fog_node.errors import RuleFault
from fog_node.rule_loading import load_rules
from fog_node.settings import NodeSettings
from fog_tasks.builtin import echo
from fog_tasks.declaration.task import task

MINE: dict[str, Any] = {"name": "mine", "on": "t/+", "task": "echo"}


@task(on="door/{room}")
def ring(room: str) -> str:
    """Say where."""
    return room


def settings(*files: Path, rule: tuple[dict[str, Any], ...] = ()) -> NodeSettings:
    return NodeSettings(name="a", rules=list(files), rule=InFile(rule, "node.toml"))


def test_rules_stand_in_the_settings_file_in_files_of_their_own_and_at_tasks(tmp_path: Path) -> None:
    file = tmp_path / "more.toml"
    file.write_text('[[rule]]\nname = "more"\non = "every 5s"\ntask = "echo"\n')
    found = load_rules(settings(file, rule=(MINE,)), {"echo": echo, "ring": ring}).rules
    assert [(one.name, one.source) for one in found] == [
        ("mine", "node.toml"),
        ("more", str(file)),
        ("ring", ring.place),
    ]


def test_a_node_without_rules_has_none() -> None:
    assert load_rules(settings(), {"echo": echo}).filters == ()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "rules.toml: No such file or directory$"),
        ("rule = 1", "each rule is a table"),
        ("[[rule]", "--rules"),
        ("[[rule]]\nname = kitchen", "Invalid value .* a text stands in quotes"),
        ('name = "x"', "key 'name' is unknown; a file of rules has \\[\\[rule\\]\\] alone"),
        ('[[rule]]\nname = "x"\non = "cron 61 * * * *"\ntask = "echo"\n', "rule 'x': on: .* is no crontab"),
        ('[[rule]]\nname = "x"\non = "t/+"\ntask = "ehco"\n', "no task 'ehco'"),
    ],
)
def test_a_wrong_file_is_refused_by_its_name(tmp_path: Path, text: str | None, part: str) -> None:
    file = tmp_path / "rules.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(RuleFault, match=part) as refused:
        load_rules(settings(file), {"echo": echo})
    assert str(file) in str(refused.value)


def test_two_rules_of_one_name_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nname = "mine"\non = "every 5s"\ntask = "echo"\n')
    with pytest.raises(RuleFault, match=r"another rule has it, in node\.toml"):
        load_rules(settings(file, rule=(MINE,)), {"echo": echo})
