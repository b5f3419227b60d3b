"""Files of tasks that import, open things, and change, with a real node and its workers."""

import asyncio
import contextlib
import re
import socketserver
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import msgspec
import psutil
import pytest

from broker.contract.messages import ErrorCode, NodeState, Outcome, TaskError
from broker.contract.topics import Weight
from tests.support.mosquitto_clients import listening, request
from tests.support.phone import value
from tests.support.programs import REPOSITORY, Program, cloud_node, fog_node, running
from tests.support.redis import private_redis
from weighbridge import Device

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
    time.sleep(0.3)
    return [os.getpid(), int(connection().makefile().readline())]
"""

GREETING = """
import first
from weighbridge import task

@task
def greet(name: str) -> str:
    import later
    return f"{first.WORD} {name}{later.MARK}"
"""


async def ask_at_once(url: str) -> list[tuple[int, int]]:
    """Have tasks run at the same time; returns for each its process, and the number that it heard again."""
    async with Device(url, name="me") as device:
        sent = [await device.send("light", "ask", number) for number in range(12)]
        outcomes = [await one.outcome(timeout=60) for one in sent]
    return [cast("tuple[int, int]", value(one)) for one in outcomes]


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
        answers = asyncio.run(ask_at_once(node.url))
        assert [number for _, number in answers] == list(range(len(answers)))
        assert len({process for process, _ in answers}) > 1


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


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)


def state_when(port: int, name: str, fits: Callable[[NodeState], bool]) -> NodeState:
    """The first state of a node that fits."""
    for _ in range(30):
        with listening(port, f"fog/nodes/{name}/state", count=2) as states:
            for line in states.wait():
                state = msgspec.json.decode(line, type=NodeState)
                if fits(state):
                    return state
    raise AssertionError(f"the last state was {state}")


def workers_of(node: Program) -> list[psutil.Process]:
    return [one for one in psutil.Process(node.process.pid).children() if "fog_tasks.worker" in one.cmdline()]


def kill_workers(node: Program) -> None:
    """Kill the workers of a node, and wait until others answer."""
    killed = workers_of(node)
    assert killed
    for one in killed:
        one.kill()
    node.wait_for_log("program_ended")
    assert value(request(node.port, "fog/tasks/light/sum/me/after-kill", "[1]")) == 1


def greeting(node: Program, name: str, payload: str) -> Outcome:
    return request(node.port, f"fog/tasks/light/greet/me/{name}", payload)


def test_a_node_and_its_workers_run_what_the_node_has_read_until_it_is_restarted(tmp_path: Path) -> None:
    """The task file, what it imports, and what it imports while it runs."""
    tasks = ("--tasks", str(tmp_path / "tasks.py"))
    write(tmp_path, tasks=GREETING, first="WORD = 'hello'", later="MARK = '!'")
    with fog_node(tmp_path, *tasks) as node:
        new = GREETING.replace("name", "whom")
        write(tmp_path, tasks=new, first="WORD = 'goodbye'", later="MARK = '?'")
        kill_workers(node)
        assert value(greeting(node, "1", '{"name": "you"}')) == "hello you!"
        refused = greeting(node, "2", '{"whom": "you"}')
        assert isinstance(refused.error, TaskError)
        assert refused.error.code is ErrorCode.BAD_ARGUMENTS

        (trouble,) = state_when(node.port, "fog-a", lambda state: bool(state.trouble)).trouble
        assert trouble.startswith("tasks.py, first.py, later.py changed after the node has read")
        assert trouble.endswith("tell the node to reload, which runs what it has read")
        assert "tasks_changed" in node.stderr

        for name in ("tasks", "first", "later"):
            (tmp_path / f"{name}.py").unlink()
        kill_workers(node)
        assert value(greeting(node, "3", '{"name": "me"}')) == "hello me!"

        write(tmp_path, tasks=GREETING, first="WORD = 'hello'", later="MARK = '!'")
        state_when(node.port, "fog-a", lambda state: not state.trouble)
        write(tmp_path, tasks=new, first="WORD = 'goodbye'", later="MARK = '?'")
        assert node.terminate() == 0
    with fog_node(tmp_path, *tasks) as node:
        assert value(greeting(node, "4", '{"whom": "you"}')) == "goodbye you?"
        assert "tasks_changed" not in node.stderr


def test_a_package_that_is_named_as_a_module_is_one_version_too(tmp_path: Path) -> None:
    package = tmp_path / "its_greetings"
    package.mkdir()
    write(package, __init__="", words="WORD = 'hello'")
    text = (
        "from .words import WORD\nfrom weighbridge import task\n@task\ndef greet(name): return WORD + name\n"
    )
    write(package, tasks=text)
    with running(
        *("fog_node", "--name", "a", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data")),
        *("--workers", "light=1", "--tasks", "its_greetings.tasks"),
        folder=tmp_path,
        cwd=tmp_path,
        environment={"PYTHONPATH": str(REPOSITORY)},
    ) as node:
        write(package, words="raise SystemExit")
        kill_workers(node)
        assert value(greeting(node, "1", '" you"')) == "hello you"
        trouble = state_when(node.port, "a", lambda state: bool(state.trouble)).trouble
        assert trouble[0].startswith("words.py changed")


def test_a_machine_with_another_version_is_told(tmp_path: Path) -> None:
    for folder in ("node", "machine"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, tasks=GREETING, first="WORD = 'hello'", later="MARK = '!'")
    write(tmp_path / "machine", later="MARK = '?'")
    mine, theirs = (("--tasks", str(tmp_path / folder / "tasks.py")) for folder in ("node", "machine"))
    with (
        private_redis(tmp_path / "redis") as url,
        cloud_node(tmp_path, "--redis", url, *mine) as node,
    ):
        for tasks, names in ((theirs, "later"), ((), "tasks.py, first, later")):
            machine = Program(
                ("cloud_node", "worker", "--redis", url, "--workers", "heavy=1", *tasks), tmp_path
            )
            try:
                (trouble,) = state_when(node.port, "cloud", lambda state: bool(state.trouble)).trouble
                assert f" has another version of {names}, or none: " in trouble
            finally:
                machine.close()
            state_when(node.port, "cloud", lambda state: not state.trouble)
        with contextlib.closing(
            Program(("cloud_node", "worker", "--redis", url, "--workers", "heavy=1", *mine), tmp_path)
        ):
            state = state_when(node.port, "cloud", lambda state: state.load[Weight.HEAVY].slots == 2)
            assert not state.trouble
        assert node.stderr.count("worker_differs") == 2


def test_a_node_that_cannot_keep_what_it_has_read_works_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, tasks=GREETING, first="WORD = 'hello'", later="MARK = '!'")
    (tmp_path / "fog-a" / "tasks.snapshot").mkdir(parents=True)
    with fog_node(tmp_path, "--tasks", str(tmp_path / "tasks.py")) as node:
        assert "tasks_not_kept" in node.stderr
        assert value(greeting(node, "1", '"you"')) == "hello you!"
