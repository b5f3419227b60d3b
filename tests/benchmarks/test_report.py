"""What measurements found, as verdicts, tables, pages and pictures."""

import math
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.errors import BenchmarkFailed
from benchmarks.page import fill, filled, report_text, summary, table_text
from benchmarks.pictures import draw
from benchmarks.report import Bars, Bound, Lines, Report, Table, Target, figure, missed, targets_table
from tests.support.programs import REPOSITORY

TABLE = Table("Rates", ("who", "tasks/s"), [("node", "5,000"), ("a|b", "1")])
LINES = Lines(
    name="rates",
    title="Rates",
    x="outstanding",
    y="",
    series={"node": [(1, 500.0), (64, 3000.0)], "peer": [(1, 700.0), (64, 1400.0)]},
    log_x=True,
    bound=("limit", 2000.0),
)


@pytest.mark.parametrize(
    ("found", "bound", "met"),
    [
        (3.0, Bound.AT_LEAST, True),
        (2.99, Bound.AT_LEAST, False),
        (3.0, Bound.AT_MOST, True),
        (3.01, Bound.AT_MOST, False),
        (math.nan, Bound.AT_LEAST, False),
        (math.nan, Bound.AT_MOST, False),
    ],
)
def test_a_target_is_met_on_its_side_of_the_bound(found: float, bound: Bound, met: bool) -> None:
    target = Target("ratio", found, bound, 3.0)
    assert target.met is met
    assert target.verdict == ("met" if met else "missed")


def test_the_missed_targets_of_all_reports_are_listed() -> None:
    good, bad = (
        Target(name, 1.0, bound, 2.0) for name, bound in (("a", Bound.AT_MOST), ("b", Bound.AT_LEAST))
    )
    reports = [Report(name="one", tables=[], targets=[good]), Report(name="two", tables=[], targets=[bad])]
    assert missed(reports) == [bad]


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0, "0.00")]
)
def test_a_figure_has_three_digits_that_mean_something(value: float, text: str) -> None:
    assert figure(value) == text


def test_a_table_of_targets_tells_found_wanted_and_verdict() -> None:
    table = targets_table([Target("ratio", 2.5, Bound.AT_LEAST, 3.0)])
    assert table.rows == [("ratio", "2.50", "≥ 3.00", "missed")]


def test_a_table_is_markdown_with_its_bars_escaped() -> None:
    assert table_text(TABLE) == ("**Rates**\n\n| who | tasks/s |\n|---|---|\n| node | 5,000 |\n| a\\|b | 1 |")


def test_a_report_shows_its_pictures_then_its_tables_then_its_targets() -> None:
    target = Target("ratio", 5.0, Bound.AT_LEAST, 3.0)
    text = report_text(Report(name="rates", tables=[TABLE], targets=[target], pictures=[LINES]), "pictures")
    assert text.startswith("![Rates](pictures/rates.svg)")
    assert text.index("**Rates**") < text.index("**Targets**")


def test_filling_a_page_again_replaces_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    before = "# A\n<!-- x: begin -->\nold\n<!-- x: end -->\ntext\n<!-- y: begin -->\nkept\n<!-- y: end -->\n"
    page.write_text(before, "utf-8")
    for _ in range(2):
        fill(page, Report(name="x", tables=[TABLE]), "pictures")
    written = page.read_text("utf-8")
    assert written == before.replace("old", table_text(TABLE))


def test_a_page_without_a_place_for_a_report_is_named() -> None:
    with pytest.raises(BenchmarkFailed, match="no place for 'x'"):
        filled("# A\n<!-- x: begin -->\n", "x", "text")


@pytest.mark.parametrize(
    "picture", [LINES, Bars(name="parts", title="Parts", x="ms", values={"worker": 0.7, "journal": 0.4})]
)
def test_a_picture_is_an_svg_that_names_its_subject(picture: Lines | Bars, tmp_path: Path) -> None:
    path = draw(picture, tmp_path)
    text = "".join(ET.parse(path).getroot().itertext())
    assert path.name == f"{picture.name}.svg"
    assert picture.title in text
    assert all(name in text for name in (picture.series if isinstance(picture, Lines) else picture.values))


def test_the_same_figures_give_the_same_picture(tmp_path: Path) -> None:
    first, second = (draw(LINES, tmp_path / name).read_bytes() for name in "ab")
    assert first == second


def test_the_summary_of_the_documented_page_is_that_of_its_tables() -> None:
    page = (REPOSITORY / "docs/benchmarks.md").read_text("utf-8")
    assert filled(page, "summary", summary(page)) == page
