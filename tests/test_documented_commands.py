"""Every command that a document prints is found from where the reader stands, and has the flags shown.

The reader has done what the README says under "Install": the programs are on the PATH, and nothing else is.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import typer.testing

from broker.cli import app as fog_broker
from cloud_node.cli import app as cloud_node
from device_sim.cli import app as device_sim
from fog_node.cli import app as fog_node
from tests.support.mosquitto_clients import require
from tests.support.programs import REPOSITORY

PATH = os.pathsep.join((str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"))
PROGRAMS = {
    "fog-node": fog_node,
    "cloud-node": cloud_node,
    "device-sim": device_sim,
    "fog-broker": fog_broker,
}
NOT_OURS = {"source", "cd", "export", "sudo", "apt", "pip", "pipx", "git", "docker", "redis-server", "ffmpeg"}
"""Words of the shell, and what a reader may have to install; the page says so."""


def printed(page: Path) -> Iterator[str]:
    """The commands of a page's console blocks, continued lines joined, and those of ours within sentences."""
    text = page.read_text()
    for block in re.findall(r"```(?:console|sh|shell)\n(.*?)```", text, re.DOTALL):
        joined = re.sub(r"\\\n>?\s*", " ", block)
        yield from re.findall(r"^(?:[a-z][\w-]*)?\$ +(.*)", joined, re.MULTILINE)
    sentences = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from re.findall(rf"`((?:{'|'.join(PROGRAMS)}) [^`]*)`", sentences)


COMMANDS = sorted(
    {
        (str(page.relative_to(REPOSITORY)), command)
        for pattern in ("*.md", "docs/*.md", "examples/**/*.md")
        for page in REPOSITORY.glob(pattern)
        if page.name not in {"CHANGELOG.md", "settings.md"}
        for command in printed(page)
    }
)


def words(command: str) -> list[str]:
    found = shlex.split(command, comments=True)
    while found and re.fullmatch(r"[A-Z_]+=.*", found[0]):
        found.pop(0)
    return found


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_the_program_is_on_the_readers_path(page: str, command: str) -> None:
    program = words(command)[0]
    if program.startswith("mosquitto"):
        require(program)
    assert program in NOT_OURS or shutil.which(program, path=PATH), f"{page}: {command}"


@pytest.mark.parametrize(("page", "command"), [one for one in COMMANDS if words(one[1])[0] in PROGRAMS])
def test_the_flags_are_those_of_the_program(page: str, command: str) -> None:
    program, *rest = words(command)
    group, chain = typer.main.get_command(PROGRAMS[program]), []
    for word in rest:
        if word not in getattr(group, "commands", {}):
            break
        chain.append(word)
        group = group.commands[word]  # type: ignore[attr-defined]  # it has just been seen to be a group
    known = {flag for option in group.params for flag in (*option.opts, *option.secondary_opts)} | {"--help"}
    given = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert given - known == set(), f"{page}: {' '.join((program, *chain))}"


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 40


def test_the_readmes_first_commands_run_from_the_readers_folder(tmp_path: Path) -> None:
    """A user's own folder, and the PATH of somebody who has activated the environment."""
    add = next(command for page, command in COMMANDS if page == "README.md" and " user add " in command)
    for command, typed in (
        (words(add), "a secret\n"),
        (["python", "-c", "from weighbridge import Device"], ""),
    ):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={"PATH": PATH, "HOME": str(tmp_path)},
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "users.toml").exists()
