"""Draws the pictures of reports as SVG files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")  # before pyplot is imported, which would look for a screen

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.report import Bars, Lines, Picture, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY, PURPLE = "#0b5cad", "#c2410c", "#6b7280", "#7c3aed"
COLOURS = {
    "node, embedded broker": BLUE,
    "embedded": BLUE,
    "node, Mosquitto engine": ORANGE,
    "mosquitto": ORANGE,
    "hand-wired pipeline": GREY,
    "Celery alone": PURPLE,
}
"""The same one has the same colour in every picture; anybody else is blue."""

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "svg.fonttype": "none",
    # The same figures give the same file.
    "svg.hashsalt": "weighbridge",
}
_NEAR = 0.07
"""The part of the height within which two labels would cover each other."""


def draw(picture: Picture, folder: Path) -> Path:
    """Draw one picture into a file of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{picture.name}.svg"
    height = 3.2 if isinstance(picture, Lines) else 0.9 + 0.3 * len(picture.values)
    with plt.rc_context(_STYLE):
        drawing, axes = plt.subplots(figsize=(6.4, height), layout="constrained")
        axes.set_title(picture.title)
        match picture:
            case Lines():
                _lines(axes, picture)
            case Bars():
                _bars(axes, picture)
        drawing.savefig(path, metadata={"Date": None})
        plt.close(drawing)
    return path


def _lines(axes: "Axes", picture: Lines) -> None:
    axes.set_xlabel(picture.x)
    axes.set_ylabel(picture.y)
    if picture.log_x:
        axes.set_xscale("symlog", linthresh=1)
        ticks = sorted({x for points in picture.series.values() for x, _ in points})
        if len(ticks) <= 8:
            axes.set_xticks(ticks)
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if picture.log_y:
        axes.set_yscale("log")
    for name, points in picture.series.items():
        colour = COLOURS.get(name, BLUE)
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3)
    # Asking for the limits fixes them: the labels are placed by them.
    (_, right), (_, top) = axes.get_xlim(), axes.get_ylim()
    axes.set_xlim(right=right)
    if not picture.log_y:
        axes.set_ylim(0, 1.05 * top)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    if picture.bound is not None:
        name, at = picture.bound
        axes.axhline(at, color="#9ca3af", linewidth=0.8, linestyle=":")
        axes.annotate(name, (0.01, at), (0, 2), ("axes fraction", "data"), "offset points", color="#6b7280")
    _label_ends(axes, picture)


def _label_ends(axes: "Axes", picture: Lines) -> None:
    """Name each line at its end; those that end at the right edge one above the other where they are near."""
    to_axes = axes.transData + axes.transAxes.inverted()
    farthest = max(points[-1][0] for points in picture.series.values())
    ends = []
    for name, points in picture.series.items():
        if points[-1][0] == farthest:
            ends.append((to_axes.transform(points[-1])[1], name))
        else:
            colour = COLOURS.get(name, BLUE)
            # Other lines may pass behind it.
            behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            axes.annotate(name, points[-1], (4, -12), "data", "offset points", color=colour, bbox=behind)
    lowest = -1.0
    for height, name in sorted(ends):
        lowest = max(height, lowest + _NEAR)
        colour = COLOURS.get(name, BLUE)
        axes.annotate(name, (1.01, lowest), xycoords="axes fraction", color=colour, va="center")


def _bars(axes: "Axes", picture: Bars) -> None:
    names = list(picture.values)
    bars = axes.barh(names, list(picture.values.values()), color=BLUE, height=0.6)
    axes.bar_label(bars, [figure(value) for value in picture.values.values()], padding=3)
    axes.invert_yaxis()
    axes.set_xlabel(picture.x)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    axes.margins(x=0.12)
