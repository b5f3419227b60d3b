"""The programs run in a folder with files that are named as our packages, libraries and Python's modules are.

Two cases are beyond any program, because none of its lines is reached; the last two tests show them:

- `python -m broker` beside a broker.py runs that file: it is what was asked for.
- With PYTHONPATH=. or `python -m`, Python itself imports a types.py in place of its own while it starts, or
  any of the few other modules that it needs for that. The scripts without PYTHONPATH=. run beside it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import running

SCRIPTS = Path(sys.executable).parent
NAMES = {
    "fog_node": "fog-node",
    "cloud_node": "cloud-node",
    "device_sim": "device-sim",
    "broker": "fog-broker",
}
HELLO = """
from weighbridge import task
import celery, greetings

@task
def hello(name: str) -> str:
    return f"{greetings.WORD} {name} {celery.__name__}"
"""
IN_THE_WAY = ("broker", "celery", "logging", "redis", "types")
WAYS = [(by, path) for by in ("script", "module") for path in ("", ".")]
NODE = ("--listen", "127.0.0.1:0", "--workers", "light=1", "--drain", "0")


def start_of(package: str, by: str) -> list[str]:
    return [str(SCRIPTS / NAMES[package])] if by == "script" else [sys.executable, "-m", package]


def environment(path: str) -> dict[str, str]:
    return {"PYTHONPATH": path}


@pytest.fixture
def folder(tmp_path: Path, by: str, path: str) -> Path:
    """A user's folder: the tasks, a module that they import, and files that are in the way."""
    (tmp_path / "tasks.py").write_text(HELLO)
    (tmp_path / "greetings.py").write_text("WORD = 'servus'")
    for name in IN_THE_WAY:
        if name != "types" or (by, path) == ("script", ""):
            (tmp_path / f"{name}.py").write_text("raise SystemExit('this is the file of the user')")
    return tmp_path


def said(folder: Path, path: str, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("package", "source", "by", "path"),
    [*(("fog_node", "tasks.py", *way) for way in WAYS), ("cloud_node", "tasks", "module", ".")],
)
def test_a_node_runs_the_users_own_tasks_for_a_device(
    folder: Path, package: str, source: str, by: str, path: str
) -> None:
    """The node, its worker and the device are all started in that folder."""
    command = (package, *NODE, "--data", str(folder / "data"), "--tasks", source)
    start = start_of(package, by)
    with running(*command, folder=folder, environment=environment(path), start=start, cwd=folder) as node:
        submit = ("submit", "auto", "hello", '"you"', "--node", node.url)
        outcome = said(folder, path, *start_of("device_sim", by), *submit)
    assert '"servus you celery"' in outcome


@pytest.mark.parametrize(("by", "path"), [way for way in WAYS if way[0] == "script"])
def test_a_broker_runs(folder: Path, by: str, path: str) -> None:
    command, start = ("broker", "--listen", "127.0.0.1:0"), start_of("broker", by)
    with running(*command, folder=folder, environment=environment(path), start=start, cwd=folder) as broker:
        assert broker.terminate() == 0


@pytest.mark.parametrize(("by", "path"), WAYS)
def test_a_cloud_node_reads_its_settings(folder: Path, by: str, path: str) -> None:
    assert 'name = "cloud"' in said(folder, path, *start_of("cloud_node", by), "--print-config")


@pytest.mark.parametrize(("by", "path"), [("module", "")])
def test_the_broker_as_a_module_is_the_users_own_file(folder: Path) -> None:
    command = (sys.executable, "-m", "broker")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == "this is the file of the user\n"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("-c", "import re"), "."),
        # -S: what an editable installation of this project has Python import first is not there elsewhere.
        (("-S", "-m", "timeit", "pass"), ""),
    ],
)
def test_python_itself_does_not_start_beside_a_types_module(
    tmp_path: Path, arguments: tuple[str, ...], path: str
) -> None:
    (tmp_path / "types.py").write_text("raise SystemExit('this is the file of the user')")
    done = subprocess.run(
        (sys.executable, *arguments),
        cwd=tmp_path,
        env={**os.environ, **environment(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "this is the file of the user" in done.stderr
    assert done.returncode == 1
