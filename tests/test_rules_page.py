"""What docs/rules.md says is so: its ten minutes are run, and its tables are those of the code."""

import re
from pathlib import Path

import pytest

from broker.contract.filters import matches
from fog_node.rules import reading
from fog_node.rules.announcing import PLATFORMS
from fog_node.rules.language.pattern import read_pattern
from tests.support.mosquitto_clients import listening
from tests.support.pages import in_a_shell, run, shown
from tests.support.programs import REPOSITORY, fog_node

PAGE = "docs/rules.md"
TEXT = (REPOSITORY / PAGE).read_text("utf-8")
BLOCKS = {kind: re.search(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL) for kind in ("python", "toml")}
TOPICS = ("tele/plug1/SENSOR", "tele/hall/plug1/SENSOR")
PATTERNS = re.findall(r"\| `(tele/[^`]*)` \| (yes|no)([^|]*)\| (yes|no)([^|]*)\|", TEXT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The reader's, with the two files of the page."""
    for name, kind in (("plug.py", "python"), ("rules.toml", "toml")):
        block = BLOCKS[kind]
        assert block is not None
        (tmp_path / name).write_text(block[1], "utf-8")
    return tmp_path


def test_the_trial_of_the_first_minutes_prints_what_the_page_says(folder: Path) -> None:
    ((command, printed),) = [one for one in shown(PAGE, "fog-node") if " try " in one[0]]
    assert run(command, folder).splitlines() == printed


def test_the_plug_of_the_first_minutes_is_answered(folder: Path) -> None:
    ((_, printed),), ((publish, _),) = shown(PAGE, "mosquitto_sub"), shown(PAGE, "mosquitto_pub")
    files = ("--tasks", str(folder / "plug.py"), "--rules", str(folder / "rules.toml"))
    with fog_node(folder, *files) as node, listening(node.port, "home/#", count=1, shown="%t %p") as heard:
        in_a_shell(publish, node.port, folder)
        assert [line.decode() for line in heard.wait()] == printed


def test_every_key_is_explained() -> None:
    table = TEXT.partition("## All keys")[2].partition("\n## ")[0]
    named = [
        key
        for row in re.findall(r"^\| (`[^|]*`) \|", table, re.MULTILINE)
        for key in re.findall("`(.*?)`", row)
    ]
    assert sorted(named) == sorted(reading._KEYS)


def test_the_platforms_of_home_assistant_are_named() -> None:
    (row,) = re.findall(r"^\| `platform` \| (.*) \|$", TEXT, re.MULTILINE)
    assert sorted(re.findall("`(.*?)`", row)) == sorted(PLATFORMS)


@pytest.mark.parametrize("row", PATTERNS, ids=lambda row: row[0])
def test_the_table_of_filters_is_right(row: tuple[str, ...]) -> None:
    written, *said = row
    rule = read_pattern(written)
    for topic, yes, levels in zip(TOPICS, said[::2], said[1::2], strict=True):
        found = rule.levels(topic) if matches(rule.filter, topic) else None
        assert (found is not None) == (yes == "yes")
        assert (found or {}) == dict(re.findall(r"`(\w+)` is `([^`]*)`", levels))


def test_the_page_has_what_is_tried_here() -> None:
    assert len(PATTERNS) == 4
