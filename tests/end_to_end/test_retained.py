"""Orders that are published to be retained, on every engine: carried out once, and kept by nobody."""

import subprocess

import msgspec

from broker.contract.messages import Outcome
from tests.support.eventually import eventually
from tests.support.mosquitto_clients import listening, publish
from tests.support.phone import value
from tests.support.programs import Program


def retained(node: Program, topic: str) -> bytes:
    """What a dashboard that subscribes now is shown: the messages, or nothing within a second."""
    command = ["mosquitto_sub", "-p", str(node.port), "-t", topic, "-W", "1", "-F", "%t %p"]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).stdout


async def test_a_retained_submission_runs_once_and_is_not_kept(node: Program, request_id: str) -> None:
    with listening(node.port, f"fog/results/me/{request_id}", count=1) as results:
        publish(node.port, f"fog/tasks/medium/echo/me/{request_id}", "[7]", "-q", "1", "-r")
        assert value(msgspec.json.decode(results.wait()[0], type=Outcome)) == 7
    await eventually(lambda: retained(node, f"fog/+/+/+/me/{request_id}") == b"", timeout=20)


def test_clearing_a_retained_submission_does_nothing(node: Program, request_id: str) -> None:
    """MQTT Explorer's delete. The task that is published after it is the only one that is answered."""
    with listening(node.port, f"fog/results/{request_id}/+", count=1) as results:
        for name in ("1", "2"):
            publish(node.port, f"fog/tasks/medium/echo/{request_id}/{name}", "", "-q", "1", "-r")
        publish(node.port, f"fog/tasks/medium/echo/{request_id}/3", '"last"', "-q", "1")
        (line,) = results.wait()
    assert msgspec.json.decode(line, type=Outcome).id == "3"


def test_clearing_a_retained_cancellation_cancels_nothing(node: Program, request_id: str) -> None:
    with listening(node.port, f"fog/results/me/{request_id}", count=1) as results:
        publish(node.port, f"fog/tasks/medium/sleep/me/{request_id}", "0.5", "-q", "1")
        publish(node.port, f"fog/cancel/me/{request_id}", "", "-q", "1", "-r")
        assert msgspec.json.decode(results.wait()[0])["ok"] is True


async def test_a_retained_cancellation_cancels_and_is_not_kept(node: Program, request_id: str) -> None:
    with listening(node.port, f"fog/results/me/{request_id}", count=1) as results:
        publish(node.port, f"fog/tasks/medium/sleep/me/{request_id}", "60", "-q", "1")
        publish(node.port, f"fog/cancel/me/{request_id}", "now", "-q", "1", "-r")
        assert msgspec.json.decode(results.wait()[0])["error"]["code"] == "cancelled"
    await eventually(lambda: retained(node, f"fog/cancel/me/{request_id}") == b"", timeout=20)
