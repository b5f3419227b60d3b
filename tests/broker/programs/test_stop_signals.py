"""A program is told to stop: by a service manager, a person, or a terminal that closes."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.mosquitto_clients import listening, publish
from tests.support.programs import Program, running

IN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR), termios.TIOCSCTTY, 0)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Makes a terminal that of the program that it becomes."""

BROKER = ("broker", "--listen", "127.0.0.1:0")


def tell(program: Program, *numbers: signal.Signals) -> None:
    for number in numbers:
        program.process.send_signal(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_broker_ends_in_order(number: signal.Signals, tmp_path: Path) -> None:
    with running(*BROKER, folder=tmp_path) as broker:
        tell(broker, number)
        assert broker.process.wait(10) == 0


def test_a_program_started_by_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    with running(*BROKER, folder=tmp_path, inside=("nohup",)) as broker:
        tell(broker, signal.SIGHUP)
        publish(broker.port, "still/there", "", "-q", "1")
        tell(broker, signal.SIGTERM)
        assert broker.process.wait(10) == 0


def test_a_terminal_that_closes_drains_a_node_however_often_it_says_so(tmp_path: Path) -> None:
    """The kernel and the shell tell it, and some service managers after SIGTERM. Before, SIGHUP reloads."""
    terminal, end = os.openpty()
    node_in_terminal = running(
        *("fog_node", "--name", "a", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data")),
        *("--workers", "medium=1"),
        folder=tmp_path,
        inside=(sys.executable, "-c", IN_TERMINAL, os.ttyname(end)),
    )
    with node_in_terminal as node:
        tell(node, signal.SIGHUP)
        node.wait_for_log("reloaded ")
        with listening(node.port, "fog/progress/me/1", count=2) as progress:
            publish(node.port, "fog/tasks/medium/sleep/me/1", "1.5", "-q", "1")
            progress.wait()
        os.close(end)
        os.close(terminal)
        node.wait_for_log("draining")
        tell(node, signal.SIGHUP)
        assert node.process.wait(20) == 0
        assert "finished=1" in node.stderr
