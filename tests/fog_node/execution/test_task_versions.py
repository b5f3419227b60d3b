from pathlib import Path

import pytest

from fog_node.execution.pool import HELLO_LIFETIME
from fog_node.execution.task_versions import TaskVersions
from fog_tasks.reporting.reports import Hello
from fog_tasks.task_files import TaskFiles
from fog_tasks.versions import digests


@pytest.fixture
def files(tmp_path: Path) -> TaskFiles:
    """The files of a node: one."""
    (tmp_path / "tasks.py").write_text("x = 1")
    files = TaskFiles()
    files.source(str(tmp_path / "tasks.py"))
    return files


def test_a_worker_of_the_same_version_or_of_an_unknown_one_is_no_trouble(files: TaskFiles) -> None:
    versions = TaskVersions(files)
    for tasks in (digests(files), {**digests(files), "more": 1}, None):
        versions.hear(Hello("w", "light", 1, tasks), 0.0)
    assert versions.trouble(0.0) == []


def test_a_worker_that_differs_is_told_once_and_is_trouble_while_it_is_heard(
    files: TaskFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = TaskVersions(files)
    for second in range(3):
        versions.hear(Hello("w", "light", 1, {"tasks.py": 7}), second)
    assert capsys.readouterr().out.count("worker_differs") == 1
    (sentence,) = versions.trouble(2 + HELLO_LIFETIME)
    assert sentence.startswith("worker w has another version of tasks.py, or none: ")
    assert versions.trouble(2.1 + HELLO_LIFETIME) == []


def test_a_sentence_names_some_of_many_modules(files: TaskFiles, tmp_path: Path) -> None:
    for number in range(9):
        path = tmp_path / f"other_{number}.py"
        path.write_text("")
        files.source(str(path))
    versions = TaskVersions(files)
    versions.hear(Hello("w", "light", 1, {}), 0.0)
    assert "tasks.py, other_0.py, other_1.py, other_2.py, other_3.py and 5 more" in versions.trouble(0.0)[0]
