"""Writes settings.md from the command lines of the programs: `make docs`."""

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from broker.cli import app as broker_app
from broker.programs.settings_file import tables
from cloud_node.cli import app as cloud_app
from device_sim.cli import app as device_app
from fog_node.cli import app as fog_app
from fog_node.reloading import AT_ONCE
from fog_node.settings import FogSettings

PAGE = Path(__file__).with_name("settings.md")
PROGRAMS = {"fog-node": fog_app, "cloud-node": cloud_app, "device-sim": device_app, "fog-broker": broker_app}
HEAD = """# Settings

<!-- Written by `make docs` from the programs themselves. -->

Every option of every program, as `--help` tells it. The flag `--some-name` is also an environment variable
(in the table) and the key `some_name` of the TOML file given with `--config`. A flag wins over the
environment, the environment over the file. The file may be UTF-8 or UTF-16, with or without a byte order
mark. `--print-config` prints the settings in force as such a file and stops. It hides passwords.

```toml
name = "kitchen"
listen = "0.0.0.0:1883"
users = "/etc/weighbridge/users.toml"
workers = {{ light = 4, medium = 2, heavy = 1 }}
cloud = "mqtts://kitchen:PASSWORD@cloud.example:8883"
```

Durations are seconds and sizes are bytes, unless the option says otherwise.

## Tables

What no flag could say stands in the file of a node alone, fog or cloud. `[[name]]` may come again and again.

| table | meaning |
|---|---|
{tables}
"""
RELOAD = """A node that is told to [reload](tasks.md#changing-a-task-file) reads the file again,
and its users and certificates. It uses these at once:
{at_once}.
Any other option that has changed is named, and counts at the next start.
"""
COMMON = frozenset(("config", "print_config", "help"))
"""Told once, at the top of the page."""


def page() -> str:
    """The whole page."""
    at_once = ", ".join(f"`{_as_flag(key)}`" for key in sorted(AT_ONCE - tables(FogSettings).keys()))
    parts = [HEAD.format(tables="\n".join(_tables())), RELOAD.format(at_once=at_once)]
    known: dict[str, str] = {}
    for name, app in PROGRAMS.items():
        parts += _sections(typer.main.get_command(app), name, known)
    return "\n".join(parts)


def _as_flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _tables() -> Iterator[str]:
    """What the file of a node may hold beside the options."""
    for name, table in tables(FogSettings).items():
        yield f"| `{table.form(name)}` | {table.about} |"


def _sections(command: Any, name: str, known: dict[str, str]) -> Iterator[str]:
    """A program or one of its commands; what stands at `fog-node` with the same words is only named."""
    rows = {_flag(one): _row(one) for one in command.params if one.name not in COMMON}
    new = [row for flag, row in rows.items() if known.get(flag) != row]
    same = [f"`{flag}`" for flag, row in rows.items() if known.get(flag) == row]
    about = (command.help or "").split("\n\n")[0].replace("\n", " ").strip()
    level = "###" if " " in name else "##"
    yield f"{level} `{name}`\n\n{about}\n"
    if new:
        yield "\n".join(["| option | meaning | default | environment |", "|---|---|---|---|", *new, ""])
    if same:
        yield f"As for `fog-node`: {', '.join(same)}.\n"
    if not known:
        known.update(rows)
    for sub, child in getattr(command, "commands", {}).items():
        yield from _sections(child, f"{name} {sub}", known)


def _flag(parameter: Any) -> str:
    """`--some-name`, or the name of an argument."""
    flags = [*parameter.opts, *parameter.secondary_opts]
    return "/".join(flags) if flags[0].startswith("-") else str(parameter.name)


def _row(parameter: Any) -> str:
    about = (parameter.help or "") + _range(parameter)
    value = _value(parameter)
    flag = f"{_flag(parameter)} {value}" if value else _flag(parameter)
    cells = [f"`{flag}`", about, _default(parameter), f"`{parameter.envvar}`" if parameter.envvar else ""]
    # Outside of code, <device> would be HTML.
    cells[1:3] = [cell.replace("<", "&lt;") for cell in cells[1:3]]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _value(parameter: Any) -> str:
    """What an option takes; nothing for a switch, nor for an argument, whose name tells it."""
    if getattr(parameter, "is_flag", False) or not parameter.opts[0].startswith("-"):
        return ""
    if isinstance(parameter.metavar, str):
        return parameter.metavar
    match parameter.default:
        case enum.Enum() as default:
            return "|".join(one.value for one in type(default))
        case int() | float():
            return "N"
        case _:
            return "VALUE"


def _range(parameter: Any) -> str:
    """The bounds of a number. Older typers keep them with the parameter's type."""
    holder = parameter if hasattr(parameter, "min") else getattr(parameter, "type", None)
    low, high = getattr(holder, "min", None), getattr(holder, "max", None)
    if low is None or (low == 0 and high is None):
        return ""
    return f" At least {low:g}." if high is None else f" From {low:g} to {high:g}."


def _default(parameter: Any) -> str:
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if parameter.required:
        return "*required*"
    if default in (None, False, "", []):
        return ""
    if default is True:
        return "on"
    if default is parameter.show_default:
        return str(default)
    return f"`{_plain(default() if callable(default) else default)}`"


def _plain(value: object) -> str:
    match value:
        case enum.Enum():
            return str(value.value)
        case dict():
            return ",".join(f"{key}={one}" for key, one in value.items())
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
