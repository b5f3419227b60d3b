"""Runs the measurements: `python -m benchmarks [NAME...]`; with `--check`, status 1 for a missed target."""

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

import rich.table
import typer
import uvloop
from rich.console import Console

from benchmarks import celery_door, durability, idle_latency, latency, reload, throughput
from benchmarks.errors import BenchmarkFailed
from benchmarks.page import fill
from benchmarks.profiling import measure as profiling
from benchmarks.report import FULL, QUICK, Effort, Report, Table, figure, missed, targets_table
from benchmarks.scaling import backlog, devices, neighbours, payload, rules, subscribers

DOCS = Path(__file__).parent.parent / "docs"

MEASUREMENTS: dict[str, Callable[[Effort], Awaitable[Report]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "subscribers": subscribers.measure,
    "devices": devices.measure,
    "backlog": backlog.measure,
    "payload": payload.measure,
    "neighbours": neighbours.measure,
    "rules": rules.measure,
    "profile": profiling.measure,
    "idle": idle_latency.measure,
    "durability": durability.measure,
    "reload": reload.measure,
    "celery-door": celery_door.measure,
}
GROUPS = {
    "all": list(MEASUREMENTS),
    "scaling": ["subscribers", "devices", "backlog", "payload", "neighbours", "rules"],
}


async def run(names: list[str], effort: Effort, *, keep: bool) -> tuple[list[Report], list[str]]:
    """Make the measurements one after the other, and print, and `keep`, each as soon as it is there.

    Returns what was found, and a sentence for each that could not be made: the others are made all the same.
    """
    reports, failures = [], []
    for name in names:
        try:
            report = await MEASUREMENTS[name](effort)
        except BenchmarkFailed as fault:
            failures.append(f"{name}: {fault}")
            print(f"failed: {failures[-1]}", file=sys.stderr)
            continue
        for table in report.tables:
            show(table)
        if report.targets:
            show(targets_table(report.targets))
        if keep:
            write(report)
        reports.append(report)
    return reports, failures


def show(table: Table) -> None:
    """Print a table."""
    shown = rich.table.Table(*table.columns, title=table.heading, title_justify="left")
    for row in table.rows:
        shown.add_row(*row)
    Console(width=max(120, Console().width)).print(shown)


def write(report: Report) -> None:
    """Put tables and pictures into the documentation."""
    # Drawing needs a library that nothing else here needs.
    from benchmarks.pictures import draw  # noqa: PLC0415

    for picture in report.pictures:
        draw(picture, DOCS / "benchmarks")
    fill(DOCS / "benchmarks.md", report, "benchmarks")


def chosen(names: Sequence[str]) -> list[str]:
    """The measurements that are meant; all without names. Raises typer.BadParameter."""
    found = [name for given in names or ["all"] for name in GROUPS.get(given, [given])]
    for name in found:
        if name not in MEASUREMENTS:
            there_is = ", ".join((*MEASUREMENTS, *GROUPS))
            raise typer.BadParameter(f"there is no measurement {name!r}; there is {there_is}")
    return list(dict.fromkeys(found))


def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(help=f"Of {', '.join((*MEASUREMENTS, *GROUPS))}.", show_default="all"),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One short round of each: to see that it runs.")
    ] = False,
    write_docs: Annotated[
        bool, typer.Option("--write", help="Write tables and pictures into docs/benchmarks.md.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="End with status 1 if a target is missed.")] = False,
) -> None:
    """Measure Weighbridge beside its peers, in the same run, told as ratios."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        effort = QUICK if quick else FULL
        reports, failures = runner.run(run(chosen(names or []), effort, keep=write_docs))
    print(f"{sum(len(report.targets) for report in reports)} targets, {time.monotonic() - began:.0f} s")
    for target in missed(reports):
        print(f"missed: {target.subject}: {figure(target.found)}, wanted {target.bound} {target.wanted:g}")
    for failure in failures:
        print(f"failed: {failure}")
    if failures or (check and missed(reports)):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
