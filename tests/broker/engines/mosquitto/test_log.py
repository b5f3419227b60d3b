"""What is made of Mosquitto's log; the lines are those of Mosquitto 2.0.11."""

import pytest
from structlog.testing import capture_logs

from broker.engines.mosquitto.log import MosquittoLog


def told(*lines: bytes) -> tuple[int, list[dict[str, object]]]:
    """How many denied publishes are counted, and what is logged."""
    seen = MosquittoLog()
    with capture_logs() as logged:
        seen.take(lines)
    return seen.denied, [dict(entry) for entry in logged]


@pytest.mark.parametrize("client", ["lamp", "la mp", "x (d0, q1, r0, m1, 'fog', ... (3 bytes))"])
@pytest.mark.parametrize("topic", ["fog/tasks/light/sum/thermo/1", "it's", ""])
def test_a_denied_publish_is_counted_and_logged(client: str, topic: str) -> None:
    line = f"Denied PUBLISH from {client} (d0, q1, r0, m7, '{topic}', ... (3 bytes))".encode()
    expected = {"event": "publish_denied", "client": client, "topic": topic, "log_level": "info"}
    assert told(line) == (1, [expected])


def test_a_line_that_mosquitto_has_cut_off_counts_too() -> None:
    """It keeps a thousand characters."""
    denied, logged = told(b"Denied PUBLISH from lamp (d0, q1, r0, m7, '" + b"a/" * 400)
    assert denied == 1
    assert str(logged[0]["topic"]).startswith("a/a/")


def test_packets_are_not_logged_and_troubles_are() -> None:
    denied, logged = told(
        b"Received PUBLISH from lamp (d0, q1, r0, m7, 'Denied PUBLISH from me', ... (3 bytes))",
        b"Sending PUBACK to lamp (m7, rc0)",
        b"No will message specified.",
        b"\tfog/results/lamp/+ (QoS 0)",
        b"",
        b"Error: Address already in use",
    )
    assert denied == 0
    assert [entry["said"] for entry in logged] == ["Error: Address already in use"]
