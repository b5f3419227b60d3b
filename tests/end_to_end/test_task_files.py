"""Files of tasks that import, open things, and change, with a real node and its workers."""

import re
import socketserver
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.mosquitto_clients import listening, publish, request
from tests.support.phone import value
from tests.support.programs import REPOSITORY, fog_node

COUNTING = """
import os, socket, time
from weighbridge import once_per_process, task

here = socket.create_connection(("127.0.0.1", {port}))

@once_per_process
def connection():
    return socket.create_connection(("127.0.0.1", {port}))

@task
def ask(number: int) -> list:
    connection().sendall(f"{{number}}\\n".encode())
    time.sleep(0.05)
    return [os.getpid(), int(connection().makefile().readline())]
"""


class Echo(socketserver.StreamRequestHandler):
    """Says each line of a client again."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says each line again."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_address[1]
        server.shutdown()
        serving.join()


def test_each_process_has_its_own_connection_and_one_from_the_import_is_told(
    tmp_path: Path, echo: int
) -> None:
    tasks = tmp_path / "tasks.py"
    tasks.write_text(COUNTING.format(port=echo))
    with fog_node(tmp_path, "--tasks", str(tasks), workers="light=3") as node:
        assert f"a socket to 127.0.0.1:{echo}" in node.stderr
        assert f"file={tasks}" in node.stderr
        with listening(node.port, "fog/results/me/#", count=12) as results:
            for number in range(12):
                publish(node.port, f"fog/tasks/light/ask/me/{number}", str(number), "-q", "1")
            outcomes = [msgspec.json.decode(line) for line in results.wait()]
        assert all(outcome["value"][1] == int(outcome["id"]) for outcome in outcomes)
        assert len({outcome["value"][0] for outcome in outcomes}) > 1


def test_the_example_of_the_page_counts(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs/tasks.md").read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "tasks.py").write_text(example[1].replace("measurements.db", f"{tmp_path}/measurements.db"))
    with sqlite3.connect(tmp_path / "measurements.db") as database:
        database.execute("CREATE TABLE readings (sensor)")
        database.executemany("INSERT INTO readings VALUES (?)", [("a",), ("b",), ("a",)])
    database.close()
    with fog_node(tmp_path, "--tasks", str(tmp_path / "tasks.py")) as node:
        assert value(request(node.port, "fog/tasks/light/count/me/1", '"a"')) == 2
        assert "opened_at_import" not in node.stderr
