"""What a measurement gives: tables, targets and pictures, as data that a console and a page can show."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure: the rounds that take turns, and the seconds of each window within them."""

    rounds: int = 3
    seconds: float = 0.8


FULL = Effort()
QUICK = Effort(rounds=1, seconds=0.5)


class Bound(enum.StrEnum):
    """On which side of a target a figure has to be."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that was found, and the bound that it is to keep."""

    subject: str
    found: float
    bound: Bound
    wanted: float

    @property
    def met(self) -> bool:
        """Whether it is kept; what is not a number keeps no bound."""
        if self.bound is Bound.AT_LEAST:
            return self.found >= self.wanted
        return self.found <= self.wanted

    @property
    def verdict(self) -> str:
        """In one word."""
        return "met" if self.met else "missed"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a heading; the first column names the row."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A picture of lines over one quantity; `bound` is a horizontal line with a name."""

    name: str
    title: str
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    log_x: bool = False
    log_y: bool = False
    bound: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A picture of one bar for each part, in the order given."""

    name: str
    title: str
    x: str
    values: Mapping[str, float]


Picture = Lines | Bars


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that one measurement found."""

    name: str
    tables: Sequence[Table]
    targets: Sequence[Target] = ()
    pictures: Sequence[Picture] = ()


def missed(reports: Sequence[Report]) -> list[Target]:
    """The targets that were not met."""
    return [target for report in reports for target in report.targets if not target.met]


def figure(value: float) -> str:
    """A number with three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def targets_table(targets: Sequence[Target]) -> Table:
    """Targets as a table."""
    rows = [
        (one.subject, figure(one.found), f"{one.bound} {figure(one.wanted)}", one.verdict) for one in targets
    ]
    return Table("Targets", ("target", "found", "wanted", ""), rows)
