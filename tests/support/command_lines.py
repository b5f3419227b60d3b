"""What a program's command line says, for a command that ends by itself."""

import os
import subprocess
import sys
from importlib import import_module
from typing import IO

from typer.testing import CliRunner

from tests.support.programs import REPOSITORY

PLAIN = {"COLUMNS": "200", "NO_COLOR": "1"}


def said_here(program: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """What it says in this process, which costs no start: for what ends before anything is started."""
    unset = dict.fromkeys((key for key in os.environ if key.startswith("FOG_")), None)
    done = CliRunner().invoke(
        import_module(f"{program}.cli").app,
        arguments,
        env={**unset, **PLAIN, **environment},
        catch_exceptions=False,
    )
    return subprocess.CompletedProcess([program, *arguments], done.exit_code, done.stdout, done.stderr)


def said_by(
    program: str, *arguments: str, stdin: IO[bytes] | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """What it says as a process of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FOG_")}
    return subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=REPOSITORY,
        stdin=stdin,
        env={**clean, **PLAIN, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_refused(done: "subprocess.CompletedProcess[str]", *parts: str, status: int = 2) -> None:
    """See that it has ended with a sentence that names these parts."""
    assert done.returncode == status, done.stderr
    for part in parts:
        assert part in done.stderr
    assert "Traceback" not in done.stderr
