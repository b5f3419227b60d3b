"""Runs the commands that a page shows, as they stand there."""

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.mosquitto_clients import require
from tests.support.programs import REPOSITORY


def shown(page: str, program: str) -> list[tuple[str, list[str]]]:
    """The commands of a page's console blocks that run a program, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", (REPOSITORY / page).read_text("utf-8"), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return [(command, printed) for command, printed in found if shlex.split(command)[0] == program]


def options(page: str, program: str, *which: str) -> list[str]:
    """Of the flags that a page starts a program with, these with their values."""
    words = shlex.split(shown(page, program)[0][0])
    return [word for flag, value in itertools.pairwise(words) if flag in which for word in (flag, value)]


def in_a_shell(command: str, port: int, folder: Path) -> str:
    """Run a command in a folder; Mosquitto's clients find the port of the node in their settings."""
    client = command.split(maxsplit=1)[0]
    require(client)
    (folder / client).write_text(f"-p {port}\n")
    return run(command, folder, XDG_CONFIG_HOME=str(folder))


def run(command: str, folder: Path, *, typed: str = "", **environment: str) -> str:
    """Run a command in a folder, with our programs on the path, and type what it asks for."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        input=typed,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout
