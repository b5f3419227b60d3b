"""Nodes with users and certificates, asked by Mosquitto's own clients."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.access import Role
from broker.authority import make_authority, make_certificate
from broker.users import make_user, write_users
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import require
from tests.support.programs import HOUSE, Program, cloud_node, fog_node


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users with the password `secret`, and certificates for a node and a device."""
    folder = tmp_path_factory.mktemp("secured")
    names = (("thermo", Role.DEVICE), ("lamp", Role.DEVICE), ("fog-a", Role.NODE), ("ann", Role.OPERATOR))
    write_users(folder / "users.toml", {name: make_user(name, role, "secret") for name, role in names})
    make_authority(folder)
    make_certificate(folder, "fog-a", Role.NODE, hosts=["127.0.0.1", "localhost"])
    make_certificate(folder, "cloud", Role.NODE, hosts=["127.0.0.1", "localhost"])
    make_certificate(folder, "camera", Role.DEVICE)
    return folder


def tls(folder: Path, name: str) -> list[str]:
    return ["--ca", f"{folder}/ca.crt", "--cert", f"{folder}/{name}.crt", "--key", f"{folder}/{name}.key"]


@pytest.fixture(scope="module")
def node(folder: Path) -> Iterator[Program]:
    require("mosquitto_pub")
    port = free_port()
    options = ["--users", str(folder / "users.toml"), "--listen-tls", f"127.0.0.1:{port}"]
    options += ["--tasks", "tests/end_to_end/guarded_tasks.py", "--max-rate", "20", "--max-burst", "20"]
    with fog_node(folder, *options, *tls(folder, "fog-a")) as program:
        program.tls_port = port  # type: ignore[attr-defined]
        yield program


def ask(port: int, task: str, device: str, id: str, payload: str, *login: str) -> dict[str, object]:
    command = ["mosquitto_rr", "-V", "mqttv311", "-p", str(port), *login, "-q", "1"]
    command += [
        "-t",
        f"fog/tasks/light/{task}/{device}/{id}",
        "-e",
        f"fog/results/{device}/{id}",
        "-m",
        payload,
    ]
    done = subprocess.run([*command, "-W", "10"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def user(name: str) -> list[str]:
    return ["-u", name, "-P", "secret"]


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
@pytest.mark.parametrize("flag", ["--listen", "--ws"])
@pytest.mark.parametrize("program", ["fog_node", "cloud_node", "broker"])
def test_an_open_port_without_users_is_refused(program: str, flag: str, address: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", program, flag, address],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "fog-broker user add NAME" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_gets_an_answer_and_a_stranger_none(node: Program) -> None:
    assert ask(node.port, "sum", "thermo", "1", "[1,2]", *user("thermo"))["value"] == 3
    for login in ([], ["-u", "thermo", "-P", "wrong"]):
        done = subprocess.run(
            [
                "mosquitto_pub",
                "-p",
                str(node.port),
                *login,
                "-t",
                "fog/tasks/light/sum/thermo/2",
                "-m",
                "[1]",
            ],
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode != 0


def test_a_task_can_be_for_operators_alone(node: Program) -> None:
    assert ask(node.port, "restart", "ann", "1", "", *user("ann"))["value"] == "restarted"
    refused = ask(node.port, "restart", "thermo", "3", "", *user("thermo"))
    assert refused["error"]["code"] == "forbidden"  # type: ignore[index]


def test_who_submits_too_fast_is_told_for_how_long_to_wait(node: Program) -> None:
    lines = "[1]\n" * 60
    topic = "fog/tasks/light/sum/lamp"
    subprocess.run(
        ["mosquitto_pub", "-p", str(node.port), *user("lamp"), "-q", "1", "-t", topic, "-l"],
        input=lines,
        text=True,
        timeout=30,
        check=True,
    )
    assert "rate-limited" in node.stderr
    answer = ask(node.port, "sum", "thermo", "4", "[5]", *user("thermo"))
    assert answer["value"] == 5


def test_mosquitto_pub_by_tls_and_by_its_certificate(node: Program, folder: Path) -> None:
    """The certificate's name is the user, without a password; another's topics stay closed."""
    port: int = node.tls_port  # type: ignore[attr-defined]
    trust = ["--cafile", f"{folder}/ca.crt"]
    mine = [*trust, "--cert", f"{folder}/camera.crt", "--key", f"{folder}/camera.key"]
    assert ask(port, "sum", "thermo", "5", "[1,1]", *trust, *user("thermo"))["value"] == 2
    assert ask(port, "sum", "camera", "1", "[2,2]", *mine)["value"] == 4
    topic = ["-t", "fog/tasks/light/sum/thermo/9", "-q", "1", "-m", "[1]"]
    subprocess.run(["mosquitto_pub", "-p", str(port), *mine, *topic], timeout=30, check=True)
    assert "publish_denied" in node.stderr
    for login in (trust, [*mine, "-u", "thermo", "-P", "secret"]):
        done = subprocess.run(
            ["mosquitto_pub", "-p", str(port), *login, *topic], capture_output=True, timeout=30, check=False
        )
        assert done.returncode != 0


def test_a_link_to_the_cloud_by_mutual_tls(tmp_path: Path, folder: Path) -> None:
    """The plain listener of the cloud is off, and it lets in certificates only."""
    port = free_port()
    secured = ["--listen", "off", "--listen-tls", f"127.0.0.1:{port}", "--require-certificate"]
    with (
        cloud_node(tmp_path, *secured, *tls(folder, "cloud")),
        fog_node(tmp_path, "--cloud", f"mqtts://127.0.0.1:{port}", *tls(folder, "fog-a")) as gateway,
    ):
        gateway.wait_for_log("change=joined")
        command = ["mosquitto_rr", "-V", "mqttv311", "-p", str(gateway.port), "-q", "1", "-W", "20"]
        command += ["-t", "fog/tasks/heavy/sum/me/1", "-e", "fog/results/me/1", "-m", "[1,2]"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=True)
        outcome = json.loads(done.stdout)
        assert (outcome["value"], outcome["node"]) == (3, "cloud")
        plain = ["mosquitto_pub", "-p", str(port), "--cafile", f"{folder}/ca.crt", "-t", "a", "-m", "x"]
        assert subprocess.run(plain, capture_output=True, timeout=30, check=False).returncode != 0
