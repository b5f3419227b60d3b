"""The wheel, installed where there is nothing else, runs a task of a user's own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY, running

MY_TASKS = """
from weighbridge import task

@task
def hello(name: str) -> str:
    return f"hello {name}"
"""
IN_THE_WHEEL = ("broker", "cloud_node", "device_sim", "fog_node", "fog_tasks", "weighbridge")
BESIDE_IT = ("LICENSE", "README.md", "pyproject.toml", "requirements.txt")
PIP_TIMEOUT = 240.0
"""Seconds for all that pip has to load: a first run has nothing in pip's cache."""


def pip(*arguments: str) -> None:
    """Run pip; skip the test where PyPI is out of reach, unless in CI."""
    command = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT, check=False)
    if "NewConnectionError" in done.stderr and not os.environ.get("CI"):
        pytest.skip("PyPI cannot be reached")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a fresh environment with the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy, since setuptools builds in the source's own folder.
    for name in IN_THE_WHEEL:
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE_IT:
        shutil.copy(REPOSITORY / name, source)
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("weighbridge-*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=60)
    pip("--python", str(environment), "install", "--no-compile", str(wheel))
    return environment / "bin"


@pytest.mark.timeout(2 * PIP_TIMEOUT)
def test_a_task_of_a_users_own_runs_from_the_wheel(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "my_tasks.py").write_text(MY_TASKS)
    command = ("fog_node", "--listen", "127.0.0.1:0", "--data", "data", "--tasks", "my_tasks.py")
    start = [str(programs / "fog-node")]
    with running(*command, "--drain", "0", folder=tmp_path, start=start, cwd=tmp_path) as node:
        done = subprocess.run(
            [programs / "device-sim", "submit", "light", "hello", '"you"', "--node", node.url],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert '"value":"hello you"' in done.stdout, done.stderr
