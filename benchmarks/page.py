"""Reports as Markdown, and a page that has a place for each between two markers."""

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkFailed
from benchmarks.report import Report, Table, targets_table

_TARGET = re.compile(r"^\| ([^|]+) \| ([\d.]+) \| ([≥≤] [\d.]+) \| (met|missed) \|$", re.MULTILINE)


def table_text(table: Table) -> str:
    """A table, with its heading in bold above it."""
    lines = [f"**{table.heading}**", "", _row(table.columns), "|" + "---|" * len(table.columns)]
    return "\n".join([*lines, *(_row(row) for row in table.rows)])


def report_text(report: Report, pictures: str) -> str:
    """All of a report; `pictures` is the folder of its pictures as seen from the page."""
    tables = [*report.tables, *([targets_table(report.targets)] if report.targets else [])]
    parts = [f"![{one.title}]({pictures}/{one.name}.svg)" for one in report.pictures]
    return "\n\n".join([*parts, *(table_text(table) for table in tables)])


def filled(page: str, name: str, text: str) -> str:
    """The page with `text` between the markers of that name. Raises BenchmarkFailed without them."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise BenchmarkFailed(f"the page has no place for {name!r}: it wants {begin} and {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def fill(path: Path, report: Report, pictures: str) -> None:
    """Write a report into a page; what the page has of others stays."""
    page = filled(path.read_text("utf-8"), report.name, report_text(report, pictures))
    if "<!-- summary: begin -->" in page:
        page = filled(page, "summary", summary(page))
    path.write_text(page, "utf-8")


def summary(page: str) -> str:
    """All targets of a page in two lists: what is missed, and what is met."""
    targets = _TARGET.findall(page)
    lines = [f"**{sum(one[3] == 'met' for one in targets)} of {len(targets)} targets are met.**"]
    for verdict in ("missed", "met"):
        found = [
            f"{subject}: {value} ({wanted})" for subject, value, wanted, told in targets if told == verdict
        ]
        lines += ["", f"{verdict.capitalize()}:", "", *(f"- {one}" for one in found)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
