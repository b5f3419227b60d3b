"""What a module opens at import is told with the module's file."""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog.testing

from fog_tasks.loading import load

TASK = "from weighbridge import task\n@task\ndef hello() -> None: ...\n"


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., list[tuple[str, str]]]:
    """Load files of these texts, the first of which is the task file; say which are told with what."""

    def tell(**texts: str) -> list[tuple[str, str]]:
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        before, path = set(sys.modules), list(sys.path)
        with structlog.testing.capture_logs() as lines:
            load([str(tmp_path / f"{next(iter(texts))}.py")])
        for name in set(sys.modules) - before:
            if name in texts or name.startswith("weighbridge_user"):
                end = getattr(sys.modules.pop(name), "end", lambda: None)
                end()
        sys.path[:] = path
        return [(Path(one["file"]).stem, one["what"]) for one in lines if one["event"] == "opened_at_import"]

    return tell


def test_a_module_that_opens_nothing_is_not_mentioned(told: Callable[..., list[tuple[str, str]]]) -> None:
    text = "import socket, threading\nsocket.socket().close()\nlog = open(__file__)\nend = log.close\n"
    assert told(its_tasks=text + TASK) == []


def test_each_socket_is_told_with_the_module_that_opened_it(
    told: Callable[..., list[tuple[str, str]]],
) -> None:
    opens = "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
    helper = opens + "client = socket.create_connection(server.getsockname())\n"
    helper += "def end():\n    client.close()\n    server.close()\n"
    tasks = opens + "import its_helper\npair = socket.socketpair()\n"
    tasks += "def end():\n    server.close()\n    [one.close() for one in pair]\n"
    found = told(its_tasks=tasks + TASK, its_helper=helper)
    assert sorted(name for name, _ in found) == ["its_helper"] * 2 + ["its_tasks"] * 3
    assert sum(what.startswith("a socket to 127.0.0.1:") for _, what in found) == 1
    assert sum(what.startswith("a socket at 127.0.0.1:") for _, what in found) == 2


def test_an_sqlite_database_is_told(told: Callable[..., list[tuple[str, str]]], tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "its.db") as database:
        database.execute("CREATE TABLE one (a)")
    database.close()
    text = f"import sqlite3\ndatabase = sqlite3.connect({str(tmp_path / 'its.db')!r})\n"
    text += "database.execute('SELECT * FROM one')\nend = database.close\n"
    assert told(its_tasks=text + TASK) == [("its_tasks", "an SQLite database")]


def test_a_thread_is_told(told: Callable[..., list[tuple[str, str]]]) -> None:
    text = "import threading\ndone = threading.Event()\n"
    text += "one = threading.Thread(target=done.wait, name='poller', args=(30,))\none.start()\n"
    text += "def end():\n    done.set()\n    one.join()\n"
    assert told(its_tasks=text + TASK) == [("its_tasks", "the thread poller")]
