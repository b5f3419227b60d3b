"""What an earlier life left running is ended; what another node has running never is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.programs.pid_file import PidFile

Program = subprocess.Popen[bytes]

LIST = (
    "import sys; from pathlib import Path; from broker.programs.pid_file import PidFile;"
    " PidFile(Path(sys.argv[1])).add(int(sys.argv[2]))"
)


@pytest.fixture
def program() -> Iterator[Program]:
    """What a node has started, and will leave behind."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def folder(tmp_path: Path, program: Program) -> Path:
    """The data folder of a node that has died, and not its program."""
    folder = tmp_path / "data"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", LIST, str(folder / "processes.json"), str(program.pid)], check=True)
    return folder


def end_leftovers(folder: Path) -> int:
    return PidFile(folder / "processes.json").end_leftovers()


def test_what_a_dead_node_left_is_ended_once(folder: Path, program: Program) -> None:
    assert end_leftovers(folder) == 1
    program.wait(5)
    assert end_leftovers(folder) == 0


def test_a_folder_that_was_moved_is_still_the_same(folder: Path, program: Program) -> None:
    file = PidFile(folder.rename(folder.with_name("moved")) / "processes.json")
    assert (file.copied_from, file.end_leftovers()) == (None, 1)
    program.wait(5)


def test_a_copy_ends_nothing_and_says_of_what_it_is_one(folder: Path, program: Program) -> None:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    file = PidFile(copy / "processes.json")
    assert (file.copied_from, file.end_leftovers()) == (str(folder), 0)
    assert program.poll() is None
    # From its first start on it is a folder of its own.
    file.add(os.getpid())
    assert PidFile(copy / "processes.json").copied_from is None


def test_a_copy_in_the_place_of_the_original_ends_nothing(folder: Path, program: Program) -> None:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    folder.rename(folder.with_name("original"))
    file = PidFile(copy.rename(folder) / "processes.json")
    assert (file.copied_from, file.end_leftovers()) == (str(folder), 0)
    assert program.poll() is None


def test_what_belongs_to_a_node_that_lives_is_left_to_it(tmp_path: Path, program: Program) -> None:
    """Whatever the folder looks like."""
    PidFile(tmp_path / "processes.json").add(program.pid)
    assert end_leftovers(tmp_path) == 0
    assert program.poll() is None


@pytest.mark.parametrize(("told", "instead"), [(b'"boot":"', b'"boot":"earlier '), (b'"born":', b'"born":9')])
def test_another_program_of_the_same_number_is_left_alone(
    folder: Path, program: Program, told: bytes, instead: bytes
) -> None:
    """The computer was started anew since, or it has another time of birth."""
    file = folder / "processes.json"
    file.write_bytes(file.read_bytes().replace(told, instead))
    assert end_leftovers(folder) == 0
    assert program.poll() is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"1":1.5}', b"\xff"])
def test_a_file_that_is_none_is_ignored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "processes.json").write_bytes(content)
    assert end_leftovers(tmp_path) == 0
