"""Nodes with users and certificates, asked by Mosquitto's own clients."""

import contextlib
import json
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.contract.identity import Role
from broker.security.authority import make_authority, make_certificate
from broker.security.users import make_user, read_users, write_users
from tests.support.command_lines import assert_refused, said_by, said_here
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import require
from tests.support.programs import Program, cloud_node, fog_node

RULE = """
[[rule]]
name = "restarts"
on = "tele/{plug}/RESTART"
task = "restart"
result = "home/{plug}/restarted"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users with the password `secret`, and certificates for a node and a device."""
    folder = tmp_path_factory.mktemp("secured")
    names = (("thermo", Role.DEVICE), ("lamp", Role.DEVICE), ("fog-a", Role.NODE), ("ann", Role.OPERATOR))
    more = (("camera", Role.DEVICE), ("gone", Role.DEVICE), ("plug", Role.DEVICE))
    users = {name: make_user(name, role, "secret", mosquitto=True) for name, role in (*names, *more)}
    write_users(folder / "users.toml", users)
    make_authority(folder)
    make_certificate(folder, "fog-a", Role.NODE, hosts=["127.0.0.1", "localhost"])
    make_certificate(folder, "cloud", Role.NODE, hosts=["127.0.0.1", "localhost"])
    make_certificate(folder, "camera", Role.DEVICE)
    return folder


def tls(folder: Path, name: str) -> list[str]:
    return ["--ca", f"{folder}/ca.crt", "--cert", f"{folder}/{name}.crt", "--key", f"{folder}/{name}.key"]


@pytest.fixture(scope="module", params=["embedded", "mosquitto"])
def engine(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    require("mosquitto_pub", "mosquitto_rr")
    if chosen == "mosquitto":
        require("mosquitto")
    return chosen


@pytest.fixture(scope="module")
def node(folder: Path, engine: str) -> Iterator[Program]:
    port = free_port()
    options = ["--users", str(folder / "users.toml"), "--listen-tls", f"127.0.0.1:{port}"]
    options += ["--engine", engine]
    options += ["--tasks", "tests/end_to_end/guarded_tasks.py", "--max-rate", "20", "--max-burst", "20"]
    rules = folder / "rules.toml"
    rules.write_text(RULE)
    options += ["--rules", str(rules)]
    with fog_node(folder, *options, *tls(folder, "fog-a"), data=engine) as program:
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
    assert_refused(said_here(program, flag, address), "fog-broker user add NAME")


@pytest.mark.parametrize("program", ["fog_node", "cloud_node", "broker"])
def test_a_program_that_refuses_ends_with_a_sentence(program: str) -> None:
    assert_refused(said_by(program, "--listen", "0.0.0.0:0"), "fog-broker user add NAME")


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


def publish(port: int, *options: str) -> int:
    command = ["mosquitto_pub", "-V", "mqttv311", "-p", str(port), "-q", "1", "-m", "[1]", *options]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode


def overhear(port: int, topic: str, *login: str) -> "subprocess.Popen[str]":
    """Subscribe, and give back the client once the broker has answered that."""
    command = ["stdbuf", "-oL", "mosquitto_sub", "-V", "mqttv311", "-d", "-p", str(port), "-t", topic, *login]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert client.stdout is not None
    while "SUBACK" not in (line := client.stdout.readline()):
        assert line, "mosquitto_sub ended before it had an answer"
    return client


def granted(port: int, topic: str, *login: str) -> int:
    """What the broker answers to a subscription."""
    client = overhear(port, topic, *login)
    try:
        assert client.stdout is not None
        while not (line := client.stdout.readline()).startswith("Subscribed"):
            assert line, "mosquitto_sub ended before it told the answer"
    finally:
        client.kill()
        client.communicate(timeout=10)
    return int(line.split(":")[-1])


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("fog/results/lamp/+", 0),
        ("fog/nodes/+/state", 0),
        ("fog/results/thermo/+", 128),
        ("fog/results/+/+", 128),
        ("fog/tasks/#", 128),
        ("$share/all/#", 128),
        ("#", 128),
    ],
)
def test_a_subscription_is_granted_or_refused_by_the_rules(node: Program, topic: str, code: int) -> None:
    assert granted(node.port, topic, *user("lamp")) == code


def test_a_device_neither_speaks_for_another_nor_hears_its_results(node: Program) -> None:
    """A forged submission goes nowhere, and who wants to overhear hears nothing."""
    spy = overhear(node.port, "fog/results/thermo/#", *user("lamp"))
    try:
        forged = ["-t", "fog/tasks/light/sum/thermo/forged", *user("gone")]
        assert publish(node.port, *forged) == 0
        assert ask(node.port, "sum", "thermo", "forged", "[7,7]", *user("thermo"))["value"] == 14
    finally:
        spy.terminate()
        heard = spy.communicate(timeout=10)[0]
    assert "PUBLISH" not in heard


def test_an_outcome_goes_to_a_response_topic_only_if_its_sender_may_read_there(node: Program) -> None:
    """Or a device would have the node publish where it may not itself."""
    result = overhear(node.port, "fog/results/thermo/door", "-C", "1", *user("thermo"))
    spy = overhear(node.port, "doors/#", "-C", "1", *user("ann"))
    try:
        for name in ("thermo", "ann"):
            wanted = ["-V", "5", "-D", "publish", "response-topic", f"doors/{name}"]
            publish(node.port, "-t", f"fog/tasks/light/sum/{name}/door", *wanted, *user(name))
            heard = (result if name == "thermo" else spy).communicate(timeout=20)[0]
            assert '"ok":true' in heard
        assert "doors/thermo" not in heard
    finally:
        for client in (result, spy):
            client.kill()
            client.communicate(timeout=10)


def denied_publishes(port: int) -> int:
    """What the node's state, seen by a device, tells of them."""
    command = ["mosquitto_sub", "-p", str(port), *user("lamp"), "-t", "fog/nodes/fog-a/state", "-C", "1"]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    count: int = json.loads(done.stdout).get("denied", 0)
    return count


async def test_a_denied_publish_is_counted_and_logged(node: Program, engine: str) -> None:
    for version in ("mqttv311", "5") if engine == "mosquitto" else ("mqttv311",):
        topic, login = f"fog/tasks/light/sum/thermo/denied-{version}", ["-V", version, *user("gone")]
        publish(node.port, *login, "-i", f"gone-{version}", "-t", topic)
        # What it may do is neither.
        publish(node.port, *login, "-t", f"fog/tasks/light/sum/gone/{version}")
        node.wait_for_log(topic)
        (told,) = [line for line in node.stderr.splitlines() if topic in line]
        assert "publish_denied" in told
        assert f"gone-{version}" in told
    # Those of other tests are in both, too.
    await eventually(lambda: denied_publishes(node.port) == node.stderr.count("publish_denied"))


def test_a_device_cannot_take_the_node_s_place_by_its_client_identifier(node: Program) -> None:
    """Neither engine lets go of the node's own session for a device that names it."""
    before = node.stderr.count("broker_away")
    spy = overhear(node.port, "fog/tasks/#", "-i", "fog-node-fog-a", "-c", *user("lamp"))
    try:
        assert ask(node.port, "sum", "thermo", "8", "[4,4]", *user("thermo"))["value"] == 8
    finally:
        spy.terminate()
        heard = spy.communicate(timeout=10)[0]
    assert "PUBLISH" not in heard
    assert node.stderr.count("broker_away") == before


async def test_a_removed_user_is_cut_off_until_it_is_added_again(node: Program, folder: Path) -> None:
    """Removed while connected; the other users stay."""
    path = folder / "users.toml"
    users = read_users(path)
    client = overhear(node.port, "fog/results/gone/#", *user("gone"))
    try:
        write_users(path, {name: one for name, one in users.items() if name != "gone"})
        await eventually(lambda: publish(node.port, "-t", "fog/tasks/light/sum/gone/1", *user("gone")) != 0)
        assert client.stdout is not None
        # mosquitto_sub connects again by itself, is refused, and says so.
        while "refused" not in (line := client.stdout.readline()).lower():
            if not line:
                break
        assert ask(node.port, "sum", "thermo", "6", "[1,2]", *user("thermo"))["value"] == 3
    finally:
        client.kill()
        client.communicate()
        write_users(path, users)
    await eventually(lambda: publish(node.port, "-t", "fog/tasks/light/sum/gone/2", *user("gone")) == 0)
    assert ask(node.port, "sum", "gone", "3", "[1,3]", *user("gone"))["value"] == 4


async def test_topics_of_a_user_s_own_are_given_and_taken_while_a_node_runs(
    node: Program, folder: Path
) -> None:
    """To publish and to read, also the answer that it names by MQTT 5's response topic."""
    path = folder / "users.toml"
    users = read_users(path)
    lamp = replace(users["lamp"], read=("tele/plug/#",))
    plug = replace(users["plug"], publish=("tele/%u/#",), read=("home/%u",))
    with contextlib.ExitStack() as stack:
        stack.callback(write_users, path, users)
        write_users(path, users | {"plug": plug, "lamp": lamp})

        def listening(topic: str, *login: str) -> "subprocess.Popen[str]":
            client = overhear(node.port, topic, "-C", "1", *login)
            stack.callback(client.communicate, timeout=10)
            stack.callback(client.kill)
            return client

        await eventually(lambda: granted(node.port, "tele/plug/#", *user("lamp")) == 0)
        heard, answer = listening("tele/plug/#", *user("lamp")), listening("home/plug", *user("plug"))
        wanted = ["-V", "5", "-D", "publish", "response-topic", "home/plug"]

        def hears(client: "subprocess.Popen[str]", said: str, *published: str) -> bool:
            # Whoever connects just when the users have changed is cut off once, and comes back.
            publish(node.port, *published, *user("plug"))
            with contextlib.suppress(subprocess.TimeoutExpired):
                return said in client.communicate(timeout=1)[0]
            return False

        await eventually(lambda: hears(heard, "tele/plug/SENSOR", "-t", "tele/plug/SENSOR"))
        await eventually(lambda: hears(answer, '"ok":true', "-t", "fog/tasks/light/sum/plug", *wanted))
        write_users(path, users)
        await eventually(lambda: granted(node.port, "tele/plug/#", *user("lamp")) == 128)
        publish(node.port, "-t", "tele/plug/denied", *user("plug"))
        node.wait_for_log("tele/plug/denied")


@pytest.mark.parametrize(
    ("role", "answer"), [(Role.DEVICE, '"code":"forbidden"'), (Role.OPERATOR, "restarted")]
)
async def test_a_rule_runs_with_the_role_of_whoever_publishes(
    node: Program, folder: Path, role: Role, answer: str
) -> None:
    path = folder / "users.toml"
    users = read_users(path)
    spy = overhear(node.port, "#", *user("ann"))
    try:
        # By what it may read it is seen that the node has taken note.
        plug = replace(users["plug"], role=role, publish=("tele/%u/#",), read=(f"told/{role}",))
        write_users(path, users | {"plug": plug})
        await eventually(lambda: granted(node.port, f"told/{role}", *user("plug")) == 0)
        publish(node.port, "-t", "tele/plug/RESTART", *user("plug"))
        assert spy.stdout is not None
        while answer not in (line := spy.stdout.readline()):
            assert line, "mosquitto_sub ended before it heard the answer"
    finally:
        spy.kill()
        spy.communicate(timeout=10)
        write_users(path, users)


async def test_a_changed_certificate_is_shown_without_a_restart(node: Program, folder: Path) -> None:
    """Another certificate in the same file is what the next connection sees."""
    port: int = node.tls_port  # type: ignore[attr-defined]

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)

    before = shown()
    for ending in ("key", "crt"):
        (folder / f"fog-a.{ending}").unlink()
    make_certificate(folder, "fog-a", Role.NODE, hosts=["127.0.0.1", "localhost"])
    await eventually(lambda: shown() != before)
    trust = ["--cafile", f"{folder}/ca.crt"]
    assert ask(port, "sum", "thermo", "7", "[1,2]", *trust, *user("thermo"))["value"] == 3


def test_mosquitto_pub_by_tls_and_a_password(node: Program, folder: Path) -> None:
    port: int = node.tls_port  # type: ignore[attr-defined]
    trust = ["--cafile", f"{folder}/ca.crt"]
    assert ask(port, "sum", "thermo", "5", "[1,1]", *trust, *user("thermo"))["value"] == 2
    assert publish(port, "-t", "fog/tasks/light/sum/thermo/9", *trust) != 0


def test_mosquitto_pub_by_its_certificate(folder: Path, tmp_path: Path, engine: str) -> None:
    """The certificate's name is the user, without a password; another's topics stay closed."""
    port = free_port()
    options = ["--users", str(folder / "users.toml"), "--listen", "off", "--listen-tls", f"127.0.0.1:{port}"]
    options += ["--require-certificate", "--engine", engine, *tls(folder, "fog-a")]
    options += ["--tasks", "tests/end_to_end/guarded_tasks.py"]
    with fog_node(tmp_path, *options) as node:
        trust = ["--cafile", f"{folder}/ca.crt"]
        mine = [*trust, "--cert", f"{folder}/camera.crt", "--key", f"{folder}/camera.key"]
        assert node.url == f"mqtts://127.0.0.1:{port}"
        assert ask(port, "sum", "camera", "1", "[2,2]", *mine)["value"] == 4
        refused = ask(port, "restart", "camera", "2", "", *mine)
        assert refused["error"]["code"] == "forbidden"  # type: ignore[index]
        books = node.stderr.count("task_refused")
        assert publish(port, "-t", "fog/tasks/light/restart/ann/9", *mine) == 0
        # Another name beside the certificate's is refused here, and counts for nothing there.
        pretending = publish(port, "-t", "fog/tasks/light/restart/ann/9", *mine, *user("ann"))
        assert (pretending == 0) is (engine == "mosquitto")
        assert ask(port, "sum", "camera", "3", "[3,3]", *mine)["value"] == 6
        assert node.stderr.count("task_refused") == books
        node.wait_for_log("publish_denied")
        assert publish(port, "-t", "fog/tasks/light/sum/thermo/9", *trust, *user("thermo")) != 0


def test_mosquitto_refuses_a_user_whose_password_it_cannot_check(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    write_users(path, {"old": make_user("old", Role.NODE, "secret")})
    done = said_by(
        *("fog_node", "--engine", "mosquitto", "--users", str(path), "--listen", "127.0.0.1:0"),
        *("--data", str(tmp_path / "data")),
    )
    assert_refused(done, "fog-broker user add old --role node --mosquitto", status=1)


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
