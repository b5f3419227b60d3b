"""Folders whose names mean something in URLs, files of settings and shells, or are too long for sockets."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.contract.identity import Role
from broker.security.authority import make_authority, make_certificate
from broker.security.users import make_user, write_users
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import request
from tests.support.phone import value
from tests.support.programs import REPOSITORY, Program, fog_node

WILD = "100% #1 \"q\" 'x'?;+\\ü@:é $HOME"
LONG = "and a long way below it/" * 6

TASKS = """
from multiprocessing.connection import Listener
from weighbridge import task


@task(weight="light")
def listening() -> bool:
    with Listener(family="AF_UNIX") as listener:
        return bool(listener.address)
"""


@pytest.mark.parametrize("name", [WILD, LONG], ids=["wild", "long"])
@pytest.mark.parametrize("engine", ["embedded", "mosquitto"])
def test_a_node_keeps_everything_in_any_folder(tmp_path: Path, engine: str, name: str) -> None:
    """Its data, users, certificates and tasks; a task's own sockets; and what asks about the node."""
    home = tmp_path / name
    home.mkdir(parents=True)
    make_authority(home)
    certificate = make_certificate(home, "fog-a", Role.NODE, hosts=["127.0.0.1"])
    write_users(home / "users.toml", {"me": make_user("me", Role.DEVICE, "secret", mosquitto=True)})
    (home / "our tasks.py").write_text(TASKS)
    options = ["--engine", engine, "--tasks", str(home / "our tasks.py"), "--users", str(home / "users.toml")]
    options += ["--listen-tls", f"127.0.0.1:{free_port()}", "--ca", str(home / "ca.crt")]
    options += ["--cert", str(certificate.cert), "--key", str(certificate.key), "--drain", "1"]
    login = ("-u", "me", "-P", "secret")
    with fog_node(home, *options, data="the data") as node:
        assert value(request(node.port, "fog/tasks/light/sum/me/1", "[1,2]", *login)) == 3
        assert value(request(node.port, "fog/tasks/light/listening/me/2", "", *login)) is True
        asked = Program(("fog_node", "peers", "--data", str(home / "the data")), home)
        assert asked.process.wait(30) == 0, asked.stderr
        asked.close()
        assert "Traceback" not in node.stderr
    names = {one.name for one in home.iterdir() if one.suffix != ".log"}
    assert names == {"ca.crt", "ca.key", "fog-a.crt", "fog-a.key", "our tasks.py", "users.toml", "the data"}
    assert {one.name for one in tmp_path.iterdir()} == {name.partition("/")[0]}


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("node.crt ", Path.read_bytes, "'node.crt ' ends with a blank, which Mosquitto would leave out"),
        (
            "node.cer",
            lambda path: ssl.PEM_cert_to_DER_cert(path.read_text()),
            "node.cer is not in PEM format",
        ),
    ],
)
def test_a_certificate_that_mosquitto_could_not_read_is_told_by_name(
    tmp_path: Path, name: str, write: Callable[[Path], bytes], said: str
) -> None:
    make_authority(tmp_path)
    made = make_certificate(tmp_path, "fog-a", Role.NODE)
    (tmp_path / name).write_bytes(write(made.cert))
    options = ("--engine", "mosquitto", "--listen-tls", f"127.0.0.1:{free_port()}", "--workers", "light=1")
    command = (*options, "--data", "data", "--cert", name, "--key", str(made.key))
    environment = {"PYTHONPATH": str(REPOSITORY)}
    node = Program(("fog_node", *command), tmp_path, environment, cwd=tmp_path)
    try:
        assert node.process.wait(30) == 1
        assert said in node.stderr.splitlines()[-1]
    finally:
        node.close()
