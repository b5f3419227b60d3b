"""What a person sees of a fleet: a live view while it runs, and a table at the end."""

import asyncio
from collections.abc import Callable, Iterable

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from device_sim.fleet.fleet import Fleet
from device_sim.fleet.report import FleetReport, Tally, WeightReport, percentile

REFRESH_SECONDS = 0.25


def make_console() -> Console:
    """The console of stdout; on a pipe it is wide enough that no line of a table is broken."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


async def show_live(console: Console, fleet: Fleet, *, seconds: float, grace: float) -> None:
    """Keep a live view on the terminal until cancelled; the view is gone afterwards."""
    clock = asyncio.get_running_loop().time
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            passed = 0.0 if fleet.started_at is None else clock() - fleet.started_at
            live.update(_live_view(fleet, passed, seconds, grace), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)


def _live_view(fleet: Fleet, passed: float, seconds: float, grace: float) -> Group:
    head = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=seconds, completed=min(passed, seconds), width=40)
    late = f"waiting for late answers, {max(0.0, seconds + grace - passed):.0f} s at most"
    head.add_row("sending", bar, f"{passed:.0f} of {seconds:g} s" if passed < seconds else late)
    columns = ("weight", "sent", "answered", "open", "failed", "done by then", "p50", "p95")
    table = Table(*columns, box=box.SIMPLE, title="p50 and p95 of the latest 500", title_style="dim")
    for weight, tally in fleet.tallies.items():
        table.add_row(weight, *_live_cells(tally))
    return Group(head, table)


def _live_cells(tally: Tally) -> Iterable[str]:
    ordered = sorted(tally.recent)
    counts = (tally.sent, tally.answered, tally.open, tally.failed.total())
    times = (percentile(ordered, 50), percentile(ordered, 95))
    return (
        *map(str, counts),
        _share(tally.in_time, tally.answered),
        *(_time(None if one is None else one * 1000) for one in times),
    )


def final_table(report: FleetReport) -> Table:
    """The report as a table, with a column for each weight, so that it fits a narrow terminal."""
    table = Table(title=_title(report), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    for weight, one in report.weights.items():
        table.add_column(f"{weight} (may wait {one.requirement_ms / 1000:g} s)", justify="right")
    for name, cell in _ROWS:
        if name == "open" and not report.interrupted:
            continue
        table.add_row(name, *map(cell, report.weights.values()))
    return table


def _title(report: FleetReport) -> str:
    devices = f"{report.devices} device{'s' if report.devices != 1 else ''}"
    nodes = f"{len(report.nodes)} node{'s' if len(report.nodes) != 1 else ''}"
    ended = ", interrupted" if report.interrupted else ""
    return f"{devices} at {nodes} for {report.seconds:g} s{ended}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _time(milliseconds: float | None) -> str:
    match milliseconds:
        case None:
            return "-"
        case _ if milliseconds < 1000:
            return f"{milliseconds:.3g} ms" if milliseconds < 100 else f"{milliseconds:.0f} ms"
        case _:
            return f"{milliseconds / 1000:.2f} s"


def _counts(counts: dict[str, int]) -> str:
    return "\n".join(f"{name} {count}" for name, count in counts.items()) or "-"


_ROWS: tuple[tuple[str, Callable[[WeightReport], str]], ...] = (
    ("sent", lambda one: str(one.sent)),
    ("answered", lambda one: str(one.answered)),
    ("lost", lambda one: str(one.lost)),
    ("open", lambda one: str(one.open)),
    ("failed", lambda one: _counts(one.failed)),
    ("waited no longer", lambda one: _share(one.in_time_original, one.sent)),
    ("done by then, execution and all", lambda one: _share(one.in_time, one.sent)),
    ("mean", lambda one: _time(one.mean_ms)),
    ("p50", lambda one: _time(one.p50_ms)),
    ("p95", lambda one: _time(one.p95_ms)),
    ("p99", lambda one: _time(one.p99_ms)),
    ("ran at", lambda one: _counts(one.ran_at)),
)
