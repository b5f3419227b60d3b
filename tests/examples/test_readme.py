"""What examples/tasks/README.md shows is run as it stands there, and prints what it says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from tests.examples.photograph import photograph
from tests.support.mosquitto_clients import listening
from tests.support.pages import in_a_shell
from tests.support.programs import REPOSITORY, Program, fog_node

PAGE = (REPOSITORY / "examples/tasks/README.md").read_text("utf-8")
ASKED = re.findall(r"\$ (mosquitto_rr .*)\n(.*)", PAGE)
PUBLISHED = re.findall(r"\$ (mosquitto_pub .*)", PAGE)
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TIMINGS = re.compile(r'("(?:waited|ran|total)_ms":)[\d.]+')


def masked(outcome: str) -> str:
    """An outcome without what differs from run to run."""
    return TIMINGS.sub(r"\g<1>0", outcome).strip()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    sources = ("--tasks", "examples/tasks/camera.py", "--tasks", "examples/tasks/sensors.py")
    with fog_node(
        tmp_path_factory.mktemp("node"), *sources, name="kitchen", workers="light=1,medium=1"
    ) as program:
        yield program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a photograph in it."""
    (tmp_path / "photo.jpg").write_bytes(photograph())
    return tmp_path


def test_the_page_has_examples() -> None:
    assert (len(ASKED), len(PUBLISHED), len(PYTHON)) == (3, 1, 1)


@pytest.mark.parametrize(("command", "printed"), ASKED)
def test_a_request_prints_what_the_page_says(node: Program, folder: Path, command: str, printed: str) -> None:
    assert masked(in_a_shell(command, node.port, folder)) == masked(printed)


def test_a_published_photograph_is_answered(node: Program, folder: Path) -> None:
    with listening(node.port, "fog/results/door-cam/1", count=1) as results:
        in_a_shell(PUBLISHED[0], node.port, folder)
        outcome = msgspec.json.decode(results.wait()[0])
    assert sorted(outcome["value"]) == ["height", "jpeg", "width"]


def test_the_python_program_writes_the_preview(node: Program, folder: Path) -> None:
    program = PYTHON[0].replace("mqtt://localhost:1883", node.url)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", program], cwd=folder, env=environment, timeout=30, check=True)
    with Image.open(folder / "preview.jpg") as preview:
        assert preview.size == (160, 120)
