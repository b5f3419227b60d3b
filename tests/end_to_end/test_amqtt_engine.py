"""Nodes on amqtt's own broker, with its configuration and plugins."""

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from broker.contract.identity import Role
from broker.security.authority import make_authority, make_certificate
from tests.support.command_lines import assert_refused, said_by, said_here
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.phone import value
from tests.support.programs import REPOSITORY, cloud_node, fog_node, running
from weighbridge import Device

LOGIN = ("-u", "alice", "-P", "wonderland")
PASSWORD_FILE = "password_file: passwords\n"


def configured(folder: Path, *, listeners: str = "") -> str:
    """The plugins of the security page, with alice, whose password is wonderland."""
    passwords, file = folder / "passwords", folder / "amqtt.yaml"
    passwords.write_text(f"alice:{PasswordHasher().hash('wonderland')}\n")
    page = (REPOSITORY / "docs" / "security.md").read_text()
    plugins = page.partition("```yaml\n")[2].partition("```")[0]
    assert PASSWORD_FILE in plugins
    file.write_text(listeners + plugins.replace(PASSWORD_FILE, f"password_file: {passwords}\n"))
    return str(file)


def test_a_device_logs_in_by_a_plugin_of_amqtt_and_gets_an_outcome(tmp_path: Path) -> None:
    """It is known by the name of its login, and denied that of another; a wrong password is refused."""
    file = configured(tmp_path)
    with fog_node(tmp_path, "--engine", "amqtt", "--amqtt-config", file) as node:
        with listening(node.port, "fog/results/alice/+", *LOGIN, count=1) as results:
            publish(node.port, "fog/tasks/light/sum", "[1,2,3]", "-q", "1", *LOGIN)
            assert json.loads(results.wait()[0])["value"] == 6
        publish(node.port, "fog/tasks/light/sum/bob/1", "[1]", "-q", "1", *LOGIN)
        node.wait_for_log("publish_denied")
        for wrong in (("-u", "alice", "-P", "looking-glass"), ("-u", "bob", "-P", "wonderland"), ()):
            with pytest.raises(subprocess.CalledProcessError) as refused:
                publish(node.port, "fog/tasks/light/sum/me/1", "[1]", *wrong)
            assert b"not authorised" in refused.value.stderr
        assert node.terminate() == 0
        assert "Traceback" not in node.stderr


def test_a_plugin_that_fails_is_told_in_a_line(tmp_path: Path) -> None:
    """A hash that it does not know, as mosquitto_passwd makes them; whoever comes next is served."""
    file = configured(tmp_path)
    with (tmp_path / "passwords").open("a") as passwords:
        passwords.write("bob:$7$101$c2FsdA==$aGFzaA==\n")
    with fog_node(tmp_path, "--engine", "amqtt", "--amqtt-config", file) as node:
        with pytest.raises(subprocess.CalledProcessError):
            publish(node.port, "fog/tasks/light/sum", "[1]", "-q", "1", "-u", "bob", "-P", "wonderland")
        node.wait_for_log("amqtt_client_failed")
        assert value(request(node.port, "fog/tasks/light/sum/alice/1", "[1]", *LOGIN)) == 1
        assert "Traceback" not in node.stderr


def test_the_listeners_of_the_file_are_those_of_the_node(tmp_path: Path) -> None:
    """By TLS and by TCP; the line that says it is ready names the one without TLS."""
    make_authority(tmp_path)
    made = make_certificate(tmp_path, "fog-a", Role.NODE, hosts=["127.0.0.1"])
    secured, plain = free_port(), free_port()
    listeners = (
        "listeners:\n"
        f"  default: {{bind: '127.0.0.1:{secured}', ssl: true, certfile: {made.cert}, keyfile: {made.key}}}\n"
    )
    plain_one = tmp_path / "plain"
    plain_one.mkdir()
    for folder, text, scheme in (
        (tmp_path, listeners, "mqtts"),
        (plain_one, f"listeners: {{default: {{bind: '127.0.0.1:{plain}'}}}}\n", "mqtt"),
    ):
        data = ("--data", str(folder / "data"), "--workers", "light=1", "--name", "fog-a")
        file = configured(folder, listeners=text)
        with running("fog_node", "--engine", "amqtt", "--amqtt-config", file, *data, folder=folder) as node:
            port = secured if scheme == "mqtts" else plain
            assert node.url == f"{scheme}://127.0.0.1:{port}"
            tls = ("--cafile", str(tmp_path / "ca.crt")) if scheme == "mqtts" else ()
            local = ("-h", "127.0.0.1")
            assert value(request(port, "fog/tasks/light/sum/alice/1", "[1,2]", *LOGIN, *tls, *local)) == 3


async def test_nodes_on_amqtt_share_their_work(tmp_path: Path) -> None:
    """Links log in to it as they do to any broker, and outcomes come back by it."""
    with (
        cloud_node(tmp_path, "--engine", "amqtt") as cloud,
        fog_node(tmp_path, "--engine", "amqtt", "--cloud", cloud.url) as node,
    ):
        async with Device(node.url, name="me") as device:
            pending = [await device.send("heavy", "sum", [number]) for number in range(20)]
            outcomes = [await one.outcome(timeout=60) for one in pending]
    assert [value(one) for one in outcomes] == list(range(20))
    assert {tuple(one.route) for one in outcomes} == {("cloud", "fog-a")}


def test_what_is_acknowledged_is_in_the_journal_when_the_node_is_killed(tmp_path: Path) -> None:
    options = ("--engine", "amqtt")
    with fog_node(tmp_path, *options, workers="medium=1") as node:
        for number in range(5):
            publish(node.port, f"fog/tasks/medium/sleep/me/{number}", "0.2", "-q", "1")
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()
    with fog_node(tmp_path, *options, workers="medium=1") as node:
        node.wait_for_log("jobs_recovered")
        for number in range(5):
            # Who was away asks again: amqtt has kept nothing for it.
            assert request(node.port, f"fog/tasks/medium/sleep/me/{number}", "0.2").ok


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--users", "users.toml"), "--users is not for --engine amqtt, which knows its users by its own"),
        (("--require-certificate", "--ca", "ca.crt"), "--require-certificate is not for --engine amqtt"),
        (("--listen", "0.0.0.0:1883"), "name a plugin that knows them in --amqtt-config FILE"),
        (("--engine", "embedded", "--amqtt-config", "a.yaml"), "--amqtt-config is for --engine amqtt"),
    ],
)
def test_options_that_do_not_go_with_amqtt_are_refused(options: Sequence[str], said: str) -> None:
    assert_refused(said_here("fog_node", "--engine", "amqtt", *options), said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plugins: {no.such.Plugin: {}}", "Plugin import failed: no.such.Plugin: No module named 'no'"),
        ("listeners: {default: {bind: '127.0.0.1:%s'}}\nplugins: {}", "address already in use"),
    ],
)
def test_a_file_that_amqtt_cannot_use_is_told_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "amqtt.yaml"
    with Mosquitto(tmp_path) as taken:
        file.write_text(text.replace("%s", str(taken.port)))
        options = ("--amqtt-config", str(file), "--workers", "light=1", "--data", str(tmp_path / "data"))
        done = said_by("fog_node", "--engine", "amqtt", *options)
    assert_refused(done, "error: amqtt: ", said, status=1)
