import queue
import re
import sys
from pathlib import Path

import pytest

from fog_tasks import LoadError
from fog_tasks.loading import load

HELLO = """
from weighbridge import task

@task
def hello(name: str) -> str:
    return f"hello {name}"
"""


def write(folder: Path, name: str, text: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return str(folder / name)


def refused(*sources: str) -> LoadError:
    with pytest.raises(LoadError) as caught:
        load(sources)
    return caught.value


def test_the_built_in_tasks_are_always_there() -> None:
    built_in = {"echo", "sum", "sleep", "light_power", "medium_power", "heavy_power"}
    assert set(load([])) == built_in


def test_a_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    registry = load([write(tmp_path, "my-tasks.py", HELLO)])
    assert registry["hello"].run(("you",), {}) == b'"hello you"'


def test_a_file_that_was_written_on_windows_is_taken_or_told_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "my_tasks.py"
    file.write_bytes(HELLO.replace("\n", "\r\n").encode("utf-8-sig"))
    assert load([str(file)])["hello"].run(("you",), {}) == b'"hello you"'
    file.write_bytes(HELLO.encode("utf-16"))
    assert f"--tasks {file} cannot be loaded: SyntaxError" in str(refused(str(file)))


def test_a_module_is_loaded_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "its_module.py", HELLO)
    monkeypatch.chdir(tmp_path)
    assert "hello" in load(["its_module"])


def test_a_file_may_import_the_files_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "its_greeting.py", "WORD = 'servus'")
    source = write(
        tmp_path, "a.py", HELLO.replace("hello {name}", "{its_greeting.WORD}") + "\nimport its_greeting"
    )
    assert load([source])["hello"].run(("you",), {}) == b'"servus"'


def test_dataclasses_of_a_file_are_understood_with_postponed_annotations(tmp_path: Path) -> None:
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    text += "@dataclass\nclass Pair:\n    a: int\n    b: Pair | None = None\n"
    text += "from weighbridge import task\n@task\ndef first(pair: Pair) -> int:\n    return pair.a\n"
    one = load([write(tmp_path, "a.py", text)])["first"]
    assert one.run(*one.read(b'{"pair": {"a": 1, "b": {"a": 2}}}')) == b"1"


def test_files_of_one_name_in_two_folders_do_not_replace_each_other(tmp_path: Path) -> None:
    first = write(tmp_path / "a", "tasks.py", HELLO)
    second = write(tmp_path / "b", "tasks.py", HELLO.replace("hello", "goodbye"))
    registry = load([first, second])
    assert registry["hello"].run(("you",), {}) == b'"hello you"'
    assert registry["goodbye"].run(("you",), {}) == b'"goodbye you"'


def test_one_file_loaded_twice_is_no_conflict(tmp_path: Path) -> None:
    """As a source, again as a source, and through another source's import."""
    first = write(tmp_path, "its_hello.py", HELLO)
    second = write(tmp_path, "b.py", "from its_hello import hello")
    assert "hello" in load([first, first, second])


@pytest.mark.parametrize(
    "line",
    [
        "import broker",
        "from broker import its_connect",
        "import fog_node as node",
        "from weighbridge import its_word",
        "def later():\n    import broker",
    ],
)
def test_a_helper_that_is_called_like_one_of_our_packages_is_refused_by_name(
    tmp_path: Path, line: str
) -> None:
    for name in ("broker", "fog_node", "weighbridge"):
        write(tmp_path, f"{name}.py", "its_connect = its_word = None")
    source = write(tmp_path, "a.py", f"{HELLO}\n{line}\n")
    fault = str(refused(source))
    assert fault.startswith(f"--tasks {source}: {source} imports '")
    assert "is a package of Weighbridge" in fault
    assert fault.endswith("give this file another name")
    assert re.search(rf"not {tmp_path}/(broker|fog_node|weighbridge)\.py", fault)


def test_a_helper_of_a_helper_is_looked_at_too(tmp_path: Path) -> None:
    write(tmp_path, "broker.py", "")
    write(tmp_path, "its_middle.py", "import broker")
    fault = str(refused(write(tmp_path, "a.py", f"import its_middle\n{HELLO}")))
    assert f"{tmp_path}/its_middle.py imports 'broker'" in fault


@pytest.mark.parametrize("name", ["weighbridge", "fog_tasks", "celery", "statistics"])
def test_a_task_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Files beside it too, if nobody imports them."""
    write(tmp_path, "broker.py", "raise SystemExit")
    assert "hello" in load([write(tmp_path, f"{name}.py", f"import {name}\n{HELLO}")])


def test_our_own_packages_can_be_imported_beside_a_file_of_that_name(tmp_path: Path) -> None:
    for name in ("broker", "weighbridge"):
        write(tmp_path, f"{name}.py", "raise SystemExit")
    assert "hello" in load([write(tmp_path, "a.py", f"from broker.errors import WeighbridgeError\n{HELLO}")])


def test_helpers_of_one_name_in_two_folders_are_refused_with_both_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(tmp_path / folder, "its_helper.py", f"WORD = '{folder}'")
    first = write(tmp_path / "a", "one.py", f"import its_helper\n{HELLO}")
    second = write(
        tmp_path / "b", "two.py", f"from its_helper import WORD\n{HELLO.replace('hello', 'goodbye')}"
    )
    assert str(refused(first, second)).startswith(
        f"--tasks {second}: {second} imports 'its_helper', but that is {tmp_path}/a/its_helper.py"
        f" and not {tmp_path}/b/its_helper.py"
    )


def test_a_helper_beside_the_file_comes_before_one_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "here", "its_helper.py", "WORD = 'here'")
    write(tmp_path / "there", "its_helper.py", "WORD = 'there'")
    monkeypatch.chdir(tmp_path / "here")
    text = HELLO.replace("hello {name}", "{its_helper.WORD}")
    registry = load([write(tmp_path / "there", "a.py", f"import its_helper\n{text}")])
    assert registry["hello"].run(("you",), {}) == b'"there"'


def test_a_helper_that_a_library_hides_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "queue.py", "its_own = 1")
    load([write(tmp_path, "a.py", f"import queue\n{HELLO}")])
    assert f"file={tmp_path}/queue.py" in capsys.readouterr().out
    fault = str(refused(write(tmp_path, "b.py", "from queue import its_own")))
    assert f"'queue' is {queue.__file__} and not {tmp_path}/queue.py" in fault


def test_packages_of_the_users_own_are_found_with_and_without_init(tmp_path: Path) -> None:
    write(tmp_path / "its_package", "__init__.py", "from .its_word import WORD")
    write(tmp_path / "its_package", "its_word.py", "WORD = 'servus'")
    write(tmp_path / "its_folder", "its_name.py", "NAME = 'you'")
    text = "import its_package\nfrom its_folder import its_name\n"
    text += HELLO.replace("hello {name}", "{its_package.WORD} {its_name.NAME}")
    assert load([write(tmp_path, "a.py", text)])["hello"].run(("",), {}) == b'"servus you"'


def test_a_long_chain_of_imports_is_followed(tmp_path: Path) -> None:
    """Each in a function, so that Python itself need not go as deep."""
    for number in range(1000):
        write(tmp_path, f"its_{number}.py", f"def later():\n    import its_{number + 1}")
    write(tmp_path, "its_1000.py", "import broker")
    write(tmp_path, "broker.py", "")
    fault = str(refused(write(tmp_path, "a.py", f"import its_0\n{HELLO}")))
    assert f"{tmp_path}/its_1000.py imports 'broker'" in fault


def test_a_module_that_is_ours_says_which_file_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "broker.py", HELLO)
    monkeypatch.chdir(tmp_path)
    fault = str(refused("broker"))
    assert fault.endswith(f"broker/__init__.py, for the other write --tasks {tmp_path}/broker.py")


def test_a_name_of_a_built_in_task_is_refused_with_both_places(tmp_path: Path) -> None:
    fault = str(refused(write(tmp_path, "a.py", HELLO.replace("hello", "echo"))))
    assert "two tasks are named 'echo'" in fault
    assert "builtin.py, line" in fault
    assert f"{tmp_path}/a.py, line 4" in fault


@pytest.mark.parametrize("source", ["missing.py", "./missing.py", "folder/missing"])
def test_a_file_that_is_not_there_is_named(source: str) -> None:
    assert str(refused(source)) == f"--tasks {source}: there is no such file"


def test_a_folder_is_not_taken_for_a_file(tmp_path: Path) -> None:
    assert str(refused(f"{tmp_path}/")).endswith(
        "this is a folder; name a file in it, or a module without a slash"
    )


def test_a_module_that_is_not_there_is_named() -> None:
    fault = refused("its_missing.module")
    assert (
        str(fault)
        == "--tasks its_missing.module cannot be loaded: ModuleNotFoundError: No module named 'its_missing'"
    )


def test_a_module_without_tasks_says_what_to_do(tmp_path: Path) -> None:
    assert "put @task above the functions" in str(refused(write(tmp_path, "a.py", "x = 1")))


def test_a_fault_of_the_users_own_is_told_with_its_line_and_kept(tmp_path: Path) -> None:
    fault = refused(write(tmp_path, "a.py", "import json\n\njson.loads('x')\n"))
    assert str(fault).startswith(f"--tasks {tmp_path}/a.py cannot be loaded: JSONDecodeError: ")
    assert str(fault).endswith(f"({tmp_path}/a.py, line 3)"), "not the line inside of json"
    assert type(fault.__cause__).__name__ == "JSONDecodeError"


def test_a_fault_in_a_file_beside_it_is_told_with_that_files_line(tmp_path: Path) -> None:
    write(tmp_path, "its_broken.py", "\n1 / 0\n")
    fault = refused(write(tmp_path, "a.py", "import its_broken\n"))
    assert str(fault).endswith(f"ZeroDivisionError: division by zero ({tmp_path}/its_broken.py, line 2)")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def (:\n", ["SyntaxError", "a.py, line 1"]),
        ("raise SystemExit(3)\n", ["SystemExit: 3", "a.py, line 1"]),
        ("import its_nothing\n", ["No module named 'its_nothing'", "a.py, line 1"]),
        ("from weighbridge import task\n@task\ndef f(x: complex): ...\n", ["parameter 'x'", "a.py, line 2"]),
    ],
)
def test_whatever_a_file_does_is_a_sentence(tmp_path: Path, text: str, words: list[str]) -> None:
    source = write(tmp_path, "a.py", text)
    fault = str(refused(source))
    assert fault.startswith(f"--tasks {source}")
    assert all(word in fault for word in words), fault


def test_a_file_that_failed_leaves_no_module_behind(tmp_path: Path) -> None:
    before = set(sys.modules)
    refused(write(tmp_path, "a.py", "1 / 0"))
    assert not [name for name in set(sys.modules) - before if name.startswith("weighbridge_user")]
