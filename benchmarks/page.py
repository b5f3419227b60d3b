"""Reports as Markdown, and a page that has a place for each between two markers."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkFailed
from benchmarks.report import Report, Table, targets_table


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
    page = path.read_text("utf-8")
    path.write_text(filled(page, report.name, report_text(report, pictures)), "utf-8")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
