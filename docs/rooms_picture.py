"""Draws rooms.svg from the import contracts in pyproject.toml: `make docs`."""

import re
import tomllib
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("rooms.svg")
ROOT = Path(__file__).parent.parent
DRAWN = {
    "Imports run one way": "The packages. Each imports only what stands below it.",
    "The rooms of a node run one way": "The rooms and files of fog_node.",
    "The rooms of the bus run one way": "The rooms and files of broker.",
}
"""The contracts that are drawn, each with its title."""
PURE = (
    "What decides does no I/O and reads no clock",
    "Sessions and routing of the embedded broker are pure",
)
"""The contracts that say what is pure."""

STYLE = """
  text { font: 14px sans-serif; fill: #1f2328; }
  .quiet { font-size: 12px; fill: #59636e; }
  .paper { fill: #ffffff; }
  .room { fill: #f3f5f8; stroke: #8c959f; }
  .part { fill: #e3f0ff; stroke: #2f6fba; stroke-dasharray: 5 3; }
  .pure { fill: #cfe5ff; stroke: #2f6fba; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9da7b3; }
    .paper { fill: #0d1117; }
    .room { fill: #1c2128; stroke: #6e7681; }
    .part { fill: #12263f; stroke: #5a9be6; }
    .pure { fill: #1b3a61; stroke: #5a9be6; }
  }
"""
LEFT, WIDTH, GAP, HEIGHT, FLOOR = 20, 820, 10, 34, 44


def picture() -> str:
    """The whole picture: the packages, and below them the rooms of the two largest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = {one["name"]: one for one in project["tool"]["importlinter"]["contracts"]}
    pure = [module for name in PURE for module in contracts[name]["source_modules"]]
    shapes: list[str] = []
    y = 0
    for name, title in DRAWN.items():
        y = _part(shapes, y, title, contracts[name], pure)
    _legend(shapes, y)
    height = y + HEIGHT + 2 * GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * LEFT} {height}" role="img">',
            "<title>The packages of Weighbridge and the rooms of fog_node and broker, in floors</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="paper" width="{WIDTH + 2 * LEFT}" height="{height}" rx="8"/>',
            *shapes,
            "</svg>\n",
        ]
    )


def _part(shapes: list[str], y: int, title: str, contract: Any, pure: list[str]) -> int:
    """Draw the floors of one contract below `y`; return where they end."""
    shapes.append(_text(LEFT, y + 28, title))
    y += FLOOR
    (container,) = contract.get("containers", [""])
    for floor in contract["layers"]:
        rooms = [one.strip() for one in re.split(r"[|:]", floor)]
        width = (WIDTH - GAP * (len(rooms) - 1)) // len(rooms)
        for place, room in enumerate(rooms):
            x = LEFT + place * (width + GAP)
            kind = _kind(f"{container}.{room}", pure) if container else "room"
            name = f"{room}.py" if (ROOT / container / f"{room}.py").exists() else room
            shapes.append(_box(x, y, width, kind))
            shapes.append(_text(x + width // 2, y + 22, name, middle=True))
        y += FLOOR
    return y


def _kind(room: str, pure: list[str]) -> str:
    if room in pure:
        return "pure"
    return "part" if any(one.startswith(f"{room}.") for one in pure) else "room"


def _legend(shapes: list[str], y: int) -> None:
    told = (("pure", "no I/O, no clock: checked"), ("part", "partly so"), ("room", "not checked"))
    for place, (kind, words) in enumerate(told):
        x = LEFT + 220 * place
        shapes.append(_box(x, y, 40, kind))
        shapes.append(_text(x + 50, y + 22, words, quiet=True))


def _box(x: int, y: int, width: int, kind: str) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="5"/>'


def _text(x: int, y: int, words: str, *, middle: bool = False, quiet: bool = False) -> str:
    how = (' text-anchor="middle"' if middle else "") + (' class="quiet"' if quiet else "")
    return f'<text x="{x}" y="{y}"{how}>{words}</text>'


if __name__ == "__main__":
    FILE.write_text(picture(), "utf-8")
