import os
from pathlib import Path

import pytest

from fog_tasks import LoadError
from fog_tasks.task_files import TaskFiles
from fog_tasks.versions import Disk, differences, digests


def read(*paths: Path) -> TaskFiles:
    files = TaskFiles()
    for path in paths:
        files.source(str(path))
    return files


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_the_same_files_are_the_same_wherever_they_are(tmp_path: Path) -> None:
    first, second = (write(tmp_path / folder / "tasks.py", "x = 1") for folder in ("a", "b"))
    assert digests(read(first)) == digests(read(second))
    assert list(digests(read(first))) == ["tasks.py"]


def test_two_files_of_one_name_count_both(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "tasks.py", "x = 1")
    second = write(tmp_path / "b" / "tasks.py", "x = 2")
    before = digests(read(first, second))
    write(first, "x = 3")
    assert differences(before, digests(read(first, second))) == ["tasks.py"]


def test_others_differ_in_what_they_have_otherwise_or_not_at_all() -> None:
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "more": 4}) == ["b", "c"]


def test_a_file_has_changed_while_it_is_not_what_was_read(tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.py", "x = 1")
    disk = Disk(read(path))
    assert disk.changed() == []
    write(path, "x = 2")
    assert disk.changed() == [str(path)]
    assert disk.changed() == [str(path)]
    write(path, "x = 1")
    assert disk.changed() == []
    os.utime(path, (1, 1))
    assert disk.changed() == []
    path.unlink()
    assert disk.changed() == [str(path)]


def test_a_snapshot_is_for_its_user_alone_and_has_to_be_one(tmp_path: Path) -> None:
    snapshot = tmp_path / "tasks.snapshot"
    files = read(write(tmp_path / "tasks.py", "password = 1"))
    files.save(snapshot)
    assert snapshot.stat().st_mode & 0o077 == 0
    assert digests(TaskFiles(snapshot)) == digests(files)
    snapshot.write_bytes(b"no")
    for path in (snapshot, tmp_path / "missing"):
        with pytest.raises(LoadError, match=str(path)):
            TaskFiles(path)
