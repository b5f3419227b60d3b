"""A running node reads its tasks again, with `fog-node reload` and at SIGHUP, while tasks run."""

import asyncio
import json
import signal
import ssl
import subprocess
from collections import Counter
from pathlib import Path

import msgspec
import psutil
import pytest
import tomli_w

from broker.contract.identity import Role
from broker.contract.messages import Catalog, ErrorCode, Outcome, TaskError
from broker.contract.topics import Weight
from broker.security.authority import make_authority, make_certificate
from broker.security.users import make_user, write_users
from fog_node.inspection.control import AskReload, Reloaded, ask
from tests.support.applications import redis_place
from tests.support.command_lines import said_by
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.node_states import wait_for_state
from tests.support.phone import value
from tests.support.programs import Program, fog_node, running
from weighbridge import Device

pytestmark = pytest.mark.timeout(180)
"""Each reload starts workers and a command."""

TASKS = """
import os, time
from pathlib import Path
import words
from weighbridge import task

@task
def word(number: int = 0, runs: str = "") -> str:
    if runs:
        with open(runs, "a") as noted:
            noted.write(f"{number}\\n")
    return words.WORD

@task(weight="medium", timeout=60)
def wait_for(file: str) -> str:
    with open(file + ".runs", "a") as noted:
        noted.write(".")
    while not Path(file).exists():
        time.sleep(0.01)
    return words.WORD

@task
def first() -> None: ...
"""

RELOADS = 3
AT_ONCE = 8
"""`python -m benchmarks reload` has more of both."""


def write(folder: Path, version: str) -> None:
    """Another version of the tasks. Each has the same size: that tells nothing."""
    (folder / "tasks.py").write_text(TASKS)
    (folder / "words.py").write_text(f"WORD = {version!r}")


def reload(folder: Path, *options: str, status: int = 0) -> str:
    """Tell the node to reload; return what it says."""
    done = said_by("fog_node", "reload", "--data", str(folder / "fog-a"), *options)
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


def word(node: Program, name: str) -> object:
    return value(request(node.port, f"fog/tasks/light/word/me/{name}", ""))


def workers_of(node: Program) -> list[psutil.Process]:
    return [one for one in psutil.Process(node.process.pid).children() if "fog_tasks.worker" in one.cmdline()]


def start_waiting(node: Program, name: str, file: Path, *, weight: str = "medium") -> None:
    """Have a task run that ends when there is a file."""
    with listening(node.port, f"fog/progress/me/{name}", count=2) as progress:
        publish(node.port, f"fog/tasks/{weight}/wait_for/me/{name}", f'"{file}"', "-q", "1")
        progress.wait()


async def test_new_workers_run_the_new_version_and_what_runs_ends_with_the_old(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with fog_node(tmp_path, "--tasks", str(tmp_path / "tasks.py"), workers="light=1,medium=1") as node:
        start_waiting(node, "old", tmp_path / "go")
        old = workers_of(node)
        write(tmp_path, "two")
        changed = TASKS.replace("def first() -> None", "def second(how: int) -> None")
        (tmp_path / "tasks.py").write_text(changed)
        said = reload(tmp_path)
        assert said.splitlines() == [
            *("task second: new", "task first: gone", "module tasks.py: changed", "module words: changed"),
        ]
        assert word(node, "1") == "two"
        with listening(node.port, "fog/nodes/fog-a/catalog", count=1) as catalogs:
            catalog = msgspec.json.decode(catalogs.wait()[0], type=Catalog)
        names = {entry.task for entry in catalog.tasks}
        assert "second" in names
        assert "first" not in names
        gone = request(node.port, "fog/tasks/light/first/me/gone", "")
        assert isinstance(gone.error, TaskError)
        assert gone.error.code is ErrorCode.UNKNOWN_TASK
        with listening(node.port, "fog/results/me/+", count=2) as results:
            # The worker that is old still runs its task; this one is for the new.
            publish(node.port, "fog/tasks/medium/wait_for/me/new", f'"{tmp_path / "go"}"', "-q", "1")
            (tmp_path / "go").touch()
            answers = [msgspec.json.decode(line, type=Outcome) for line in results.wait()]
        assert {answer.id: value(answer) for answer in answers} == {"old": "one", "new": "two"}
        await eventually(lambda: not any(one.is_running() for one in old))
        assert not wait_for_state(node, lambda state: not state.trouble).trouble
        assert len(workers_of(node)) == len(old)
        # A worker that is started again has what its node has.
        for one in workers_of(node):
            one.kill()
        node.wait_for_log("program_ended")
        assert word(node, "2") == "two"
        assert node.terminate() == 0


async def test_what_does_not_load_leaves_everything_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with fog_node(tmp_path, "--tasks", str(tmp_path / "tasks.py"), workers="light=1") as node:
        before = workers_of(node)
        for text, fault in (
            ("import nothing_there", "No module named 'nothing_there'"),
            ("x = 1", "has no tasks"),
            (TASKS + "@task(name='word')\ndef other(): ...", "two tasks are named 'word'"),
            # A fault that only workers meet.
            (
                f"import os, sys\nif 'worker' in sys.argv[0]: os._exit(3)\n{TASKS}",
                "the new light workers end",
            ),
        ):
            (tmp_path / "tasks.py").write_text(text)
            said = reload(tmp_path, status=1)
            assert said.startswith("error: tasks, rules and settings stay as they were: ")
            assert fault in said
        assert word(node, "1") == "one"
        assert workers_of(node) == before
        node.process.send_signal(signal.SIGHUP)
        node.wait_for_log("reload_failed")
        write(tmp_path, "two")
        node.process.send_signal(signal.SIGHUP)
        node.wait_for_log("reloaded ")
        assert word(node, "2") == "two"


async def test_under_load_each_task_runs_once_and_is_answered_once(tmp_path: Path) -> None:
    write(tmp_path, "0")
    runs, over = tmp_path / "runs", asyncio.Event()
    words: list[list[object]] = []
    with fog_node(tmp_path, "--tasks", str(tmp_path / "tasks.py"), workers="light=2") as node:

        async def load(device: Device, first: int) -> None:
            heard: list[object] = []
            words.append(heard)
            number = first
            while not over.is_set():
                heard.append(await device.submit("light", "word", [number, str(runs)], timeout=60))
                number += AT_ONCE

        async with Device(node.url, name="me") as device, asyncio.TaskGroup() as group:
            for first in range(AT_ONCE):
                group.create_task(load(device, first))
            for version in range(1, RELOADS + 1):
                write(tmp_path, str(version))
                assert not (await ask(tmp_path / "fog-a", AskReload(), Reloaded, timeout=60)).fault
                done = len(words[0])
                await eventually(lambda done=done: len(words[0]) > done + 2)  # type: ignore[misc]
            over.set()
        assert node.terminate() == 0
        warned = [line for line in node.stderr.splitlines() if "[warning" in line]
        assert [line for line in warned if "tasks_changed" not in line] == []
    for heard in words:
        # Each version in its turn, and never an earlier one again.
        assert heard == sorted(heard, key=str)
        assert set(heard) == {str(version) for version in range(RELOADS + 1)}
    noted = Counter(runs.read_text().split())
    assert set(noted.values()) == {1}
    assert len(noted) == sum(map(len, words))


def test_what_an_old_worker_has_not_begun_runs_at_a_new_one(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with fog_node(tmp_path, "--tasks", str(tmp_path / "tasks.py"), workers="light=1") as node:
        # What is known to be short is sent to a worker that is busy, and would wait there.
        assert [word(node, f"short-{number}") for number in range(3)] == ["one"] * 3
        start_waiting(node, "long", tmp_path / "go", weight="light")
        write(tmp_path, "two")
        with listening(node.port, "fog/results/me/+", count=1) as results:
            publish(node.port, "fog/tasks/light/word/me/behind", "", "-q", "1")
            reload(tmp_path)
            (answer,) = (msgspec.json.decode(line, type=Outcome) for line in results.wait())
        assert (answer.id, value(answer)) == ("behind", "two")
        with listening(node.port, "fog/results/me/+", count=1) as results:
            (tmp_path / "go").touch()
            (answer,) = (msgspec.json.decode(line, type=Outcome) for line in results.wait())
        assert (answer.id, value(answer)) == ("long", "one")


async def test_a_task_whose_old_worker_dies_runs_again_with_the_new_version(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with fog_node(tmp_path, "--tasks", str(tmp_path / "tasks.py"), workers="medium=1") as node:
        start_waiting(node, "me", tmp_path / "go")
        (old,) = workers_of(node)
        write(tmp_path, "two")
        reload(tmp_path)
        with listening(node.port, "fog/results/me/+", count=1) as results:
            old.kill()
            await eventually(lambda: (tmp_path / "go.runs").read_text() == "..")
            (tmp_path / "go").touch()
            (answer,) = (msgspec.json.decode(line, type=Outcome) for line in results.wait())
        assert value(answer) == "two"


def configured(folder: Path, **settings: object) -> Path:
    """A node's file of settings."""
    file = folder / "node.toml"
    file.write_text(tomli_w.dumps(settings))
    return file


def test_limits_and_workers_are_those_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    write(tmp_path, "one")
    common = {"name": "fog-a", "data": "fog-a", "tasks": ["tasks.py"]}
    file = configured(tmp_path, **common, listen="127.0.0.1:0", workers={"light": 1}, max_rate=100)
    with running("fog_node", "--config", str(file), folder=tmp_path) as node:
        refused = request(node.port, "fog/tasks/heavy/word/me/1", "")
        assert isinstance(refused.error, TaskError)
        assert refused.error.code is ErrorCode.UNROUTABLE
        more = {"max_rate": 200, "max_open_per_device": 1, "workers": {"light": 2, "heavy": 1}}
        configured(tmp_path, **common, listen="127.0.0.1:1", **more)
        assert reload(tmp_path).splitlines() == [
            "max_open_per_device: 50000 → 1",
            "max_rate: 100.0 → 200.0",
            "workers: light=1,medium=0,heavy=0 → light=2,medium=0,heavy=1",
            "only at the next start: --listen",
        ]
        start_waiting(node, "first", tmp_path / "go", weight="heavy")
        load = wait_for_state(node, lambda state: Weight.HEAVY in state.load).load
        assert {weight: one.slots for weight, one in load.items()} == {Weight.LIGHT: 2, Weight.HEAVY: 1}
        refused = request(node.port, "fog/tasks/light/word/me/2", "")
        assert isinstance(refused.error, TaskError)
        assert refused.error.code is ErrorCode.RATE_LIMITED
        (tmp_path / "go").touch()
        file.write_text("max_rat = 1")
        assert "key 'max_rat' is unknown" in reload(tmp_path, status=1)
        file.write_text("max_rate = -1")
        assert "node.toml: max_rate = -1: " in reload(tmp_path, status=1)


def test_what_waits_for_workers_that_are_no_more_is_placed_elsewhere_or_told(tmp_path: Path) -> None:
    write(tmp_path, "one")
    common = {"name": "fog-a", "data": "fog-a", "tasks": ["tasks.py"], "listen": "127.0.0.1:0"}
    file = configured(tmp_path, **common, workers={"light": 1, "medium": 1})
    with running("fog_node", "--config", str(file), folder=tmp_path) as node:
        start_waiting(node, "first", tmp_path / "go")
        with listening(node.port, "fog/results/me/+", count=2) as results:
            publish(node.port, "fog/tasks/medium/word/me/second", "", "-q", "1")
            configured(tmp_path, **common, workers={"light": 1})
            reload(tmp_path)
            (tmp_path / "go").touch()
            answers = [msgspec.json.decode(line, type=Outcome) for line in results.wait()]
        second, first = sorted(answers, key=lambda one: one.ok)
        assert (first.id, value(first)) == ("first", "one")
        assert isinstance(second.error, TaskError)
        assert second.error.code is ErrorCode.UNROUTABLE


@pytest.mark.parametrize("engine", ["embedded", "mosquitto"])
async def test_users_and_certificates_are_those_of_their_files(tmp_path: Path, engine: str) -> None:
    write(tmp_path, "one")
    users, port = tmp_path / "users.toml", free_port()
    ann = make_user("ann", Role.DEVICE, "secret", mosquitto=True)
    write_users(users, {"ann": ann})
    make_authority(tmp_path)
    make_certificate(tmp_path, "fog-a", Role.NODE, hosts=["127.0.0.1"])
    tls = ("--cert", f"{tmp_path}/fog-a.crt", "--key", f"{tmp_path}/fog-a.key")
    options = ("--engine", engine, "--users", str(users), "--listen-tls", f"127.0.0.1:{port}", *tls)

    def lets_in(name: str) -> bool:
        command = ["mosquitto_pub", "-p", str(node.port), "-u", name, "-P", "secret", "-t", "a", "-m", "b"]
        return (
            subprocess.run([*command, "-q", "1"], capture_output=True, timeout=30, check=False).returncode
            == 0
        )

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port))

    with fog_node(tmp_path, *options) as node:
        before, text = shown(), users.read_text()
        users.write_text("ann = 1")
        assert "users.toml: user 'ann' needs a role" in reload(tmp_path, status=1)
        assert lets_in("ann")
        users.write_text(text)
        key = (tmp_path / "fog-a.key").read_text()
        (tmp_path / "fog-a.key").write_text("nothing")
        assert "fog-a.key is not in PEM format" in reload(tmp_path, status=1)
        (tmp_path / "fog-a.key").write_text(key)
        assert shown() == before
        write_users(users, {"ben": make_user("ben", Role.DEVICE, "secret", mosquitto=True)})
        for suffix in ("crt", "key"):
            (tmp_path / f"fog-a.{suffix}").unlink()
        make_certificate(tmp_path, "fog-a", Role.NODE, hosts=["127.0.0.1"])
        # Also where the node has read them by itself, which it does at once.
        assert reload(tmp_path).splitlines() == [
            *("user ben: new", "user ann: gone"),
            *(f"certificate file {tmp_path}/fog-a.{suffix}: changed" for suffix in ("crt", "key")),
        ]
        await eventually(lambda: lets_in("ben") and not lets_in("ann") and shown() != before)
        assert reload(tmp_path) == "nothing has changed\n"


@pytest.mark.parametrize("engine", ["embedded", "external", "mosquitto", "amqtt"])
def test_rules_are_those_of_the_files_as_they_are_now(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    write(tmp_path, "one")
    file = tmp_path / "rules.toml"

    def rules(**given: str) -> None:
        wanted = [{"name": name, "on": on, "task": "word"} for name, on in given.items()]
        file.write_text(tomli_w.dumps({"rule": [{**one, "result": f"told/{one['name']}"} for one in wanted]}))

    def told(topic: str, result: str) -> list[bytes]:
        with listening(node.port, result, count=1) as results:
            publish(node.port, topic, "", "-q", "1")
            return results.wait()

    if engine == "external":
        mosquitto: Mosquitto = request.getfixturevalue("mosquitto")
        engine = mosquitto.url
    rules(kept="a/kept", moved="a/before", gone="a/gone")
    options = ("--tasks", str(tmp_path / "tasks.py"), "--rules", str(file), "--engine", engine)
    with fog_node(tmp_path, *options) as node:
        assert told("a/kept", "told/kept") == [b"one"]
        file.write_text("[[rule]]\nname = 'kept'\non = 'a/kept'\ntask = 'nothing'")
        said = reload(tmp_path, status=1)
        assert f"{file}" in said
        assert "no task 'nothing' is loaded" in said
        assert told("a/gone", "told/gone") == [b"one"]
        rules(kept="a/kept", moved="a/after", new="a/gone")
        write(tmp_path, "two")
        assert reload(tmp_path).splitlines() == [
            *("rule new: new", "rule gone: gone", "rule moved: changed", "module words: changed"),
        ]
        assert told("a/gone", "told/new") == [b"two"]
        assert told("a/after", "told/moved") == [b"two"]
        assert told("a/kept", "told/kept") == [b"two"]
        publish(node.port, "a/before", "", "-q", "1")
        done = said_by("fog_node", "rules", "--data", str(tmp_path / "fog-a"), "--json")
        counts = {one["rule"]: (one["matched"], one["started"]) for one in json.loads(done.stdout)["rules"]}
        assert counts == {"kept": (2, 2), "moved": (1, 1), "new": (1, 1)}


def test_workers_stay_where_they_would_run_nothing_else(tmp_path: Path) -> None:
    """What they hold in memory took them long. Whoever wants new ones says so."""
    write(tmp_path, "one")
    users = {name: make_user(name, Role.OPERATOR, "secret") for name in ("ann", "boss")}
    write_users(tmp_path / "users.toml", {"boss": users["boss"]})
    common = {"name": "fog-a", "data": "fog-a", "tasks": ["tasks.py"], "users": "users.toml"}
    more = {"listen": "127.0.0.1:0", "workers": {"light": 1}}

    def own_word(name: str) -> object:
        topic = f"fog/tasks/light/word/me/{name}"
        return value(request(node.port, topic, "", "-u", "boss", "-P", "secret"))

    file = configured(tmp_path, **common, **more)
    with running("fog_node", "--config", str(file), folder=tmp_path) as node:
        before = workers_of(node)
        write_users(tmp_path / "users.toml", users)
        rule = [{"name": "a", "on": "a", "task": "word"}]
        configured(tmp_path, **common, **more, max_rate=100, rule=rule)
        changes = ["max_rate: 2000.0 → 100.0", "rule a: new", "user ann: new"]
        assert reload(tmp_path).splitlines() == changes
        assert reload(tmp_path) == "nothing has changed\n"
        # Users are used whatever else is wrong, and who has changed them hears of it.
        write_users(tmp_path / "users.toml", {"boss": users["boss"]})
        configured(tmp_path, **common, **more, rule=[{**rule[0], "task": "nothing"}])
        done = said_by("fog_node", "reload", "--data", str(tmp_path / "fog-a"))
        assert (done.returncode, done.stdout) == (1, "user ann: gone\n")
        assert "tasks, rules and settings stay as they were: " in done.stderr
        assert workers_of(node) == before
        configured(tmp_path, **common, **more, max_payload=1000, celery={"outstanding": 3, "app": "a:b"})
        assert reload(tmp_path).splitlines() == [
            *("max_rate: 100.0 → 2000.0", "rule a: gone"),
            "only at the next start: --max-payload, [celery]",
            "whether that Celery application can be loaded is not known before",
        ]
        assert workers_of(node) == before
        assert own_word("1") == "one"
        assert "the workers are new" in reload(tmp_path, "--new-workers")
        assert not set(workers_of(node)) <= set(before)
        assert own_word("2") == "one"
        (tmp_path / "words.py").write_text("WORD = 'two'")
        assert reload(tmp_path).splitlines()[0] == "module words: changed"
        assert own_word("3") == "two"


SHOP = """
import celery
app = celery.Celery("shop")

@app.task
def price(pounds: int) -> str: ...
"""


def test_a_door_has_the_tasks_of_the_application_as_they_are_now(tmp_path: Path) -> None:
    (tmp_path / "its_shop.py").write_text(SHOP)
    (tmp_path / "redis").mkdir()
    with redis_place(tmp_path / "redis") as place:
        table = {"app": "its_shop:app", "broker": place.broker, "backend": place.backend}
        file = configured(tmp_path, name="fog-a", data="fog-a", listen="127.0.0.1:0", celery=table)
        settings = ("fog_node", "--config", str(file), "--workers", "light=1")
        with running(*settings, folder=tmp_path, environment={"PYTHONPATH": str(tmp_path)}) as node:
            changed = SHOP.replace("pounds: int", "pounds: list[int]")
            (tmp_path / "its_shop.py").write_text(f"{changed}\n@app.task\ndef weigh() -> None: ...")
            assert reload(tmp_path).splitlines() == ["task its_shop.weigh: new", "module its_shop: changed"]
            refused = request(node.port, "fog/tasks/auto/price/till/1", '{"pounds": 3}')
            assert isinstance(refused.error, TaskError)
            assert refused.error.message.startswith("its_shop.price: parameter 'pounds': expected `array`")


def test_a_node_that_is_told_to_stop_while_it_reloads_stops(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with fog_node(tmp_path, "--tasks", str(tmp_path / "tasks.py"), workers="light=1") as node:
        (tmp_path / "words.py").write_text("import sys, time\nif 'worker' in sys.argv[0]: time.sleep(600)")
        before = len(workers_of(node))
        node.process.send_signal(signal.SIGHUP)
        node.wait_for_log("tasks_loading")
        assert len(workers_of(node)) == before + 1
        assert node.terminate() == 0
        assert "the node is stopping" in node.stderr
        assert "Traceback" not in node.stderr
