"""Outcomes that do not fit together, or alone, into what a device's queue takes in memory (8 MiB)."""

import signal
import subprocess
from pathlib import Path

import msgspec

from broker.contract.messages import Outcome
from tests.support.mosquitto_clients import TIMEOUT, listening, publish
from tests.support.node_states import wait_for_state
from tests.support.phone import value
from tests.support.programs import Program, fog_node

MEBIBYTES = (7, 9, 3, 3, 3)
TASKS = str(Path(__file__).with_name("wild_tasks.py"))
RESULTS = "fog/results/camera/#"


def submit(node: Program) -> None:
    """Have all outcomes made, and find their device taking none of them."""
    for number, size in enumerate(MEBIBYTES):
        arguments = msgspec.json.encode({"text": f"{number:x}" * 1024, "times": size << 10}).decode()
        publish(node.port, f"fog/tasks/light/shout/camera/{number}", arguments, "-q", "1")
    wait_for_state(node, lambda found: found.books.done == len(MEBIBYTES))
    wait_for_state(node, lambda found: "fog/results/camera/" in "".join(found.trouble))
    assert "messages_on_disk" in node.stderr


def check(came: list[bytes]) -> None:
    sizes = {}
    for one in came:
        outcome = msgspec.json.decode(one, type=Outcome)
        sizes[int(outcome.id)] = len(str(value(outcome))) >> 20
    assert sizes == dict(enumerate(MEBIBYTES))


def test_an_absent_device_gets_them_when_it_is_back_though_the_node_was_killed(tmp_path: Path) -> None:
    session = ("mosquitto_sub", "-i", "camera", "-c", "-q", "1", "-t", RESULTS, "-p")
    with fog_node(tmp_path, "--tasks", TASKS) as node:
        subprocess.run([*session, str(node.port), "-E"], check=True, timeout=TIMEOUT)
        submit(node)
        node.kill()
    with fog_node(tmp_path, "--tasks", TASKS) as node:
        back = [*session, str(node.port), "-C", str(len(MEBIBYTES)), "-W", str(int(TIMEOUT))]
        came = subprocess.run(back, check=True, capture_output=True, timeout=TIMEOUT + 5).stdout
        check(came.splitlines())


def test_a_slow_device_gets_them_when_it_can_take_them(tmp_path: Path) -> None:
    with (
        fog_node(tmp_path, "--tasks", TASKS) as node,
        listening(node.port, RESULTS, count=len(MEBIBYTES)) as device,
    ):
        device.process.send_signal(signal.SIGSTOP)
        submit(node)
        device.process.send_signal(signal.SIGCONT)
        check(device.wait())
        wait_for_state(node, lambda found: not found.trouble)
