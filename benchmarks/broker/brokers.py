"""The brokers that are compared, each in a process of its own on a free loopback port."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

START_TIMEOUT = 20.0


@dataclass(frozen=True)
class Broker:
    """A broker that listens."""

    port: int
    pid: int

    @property
    def memory(self) -> int:
        """The bytes of memory that it holds."""
        rss: int = psutil.Process(self.pid).memory_info().rss
        return rss


@contextlib.contextmanager
def embedded(tree: Path | None = None) -> Iterator[Broker]:
    """Ours, as `fog-broker` runs it; but one address may be as many clients as thousands are elsewhere.

    It is this tree's, or that of another checkout with .venv.
    """
    port = free_port()
    options = ["--listen", f"127.0.0.1:{port}", "--max-connections-per-address", "20000"]
    python = sys.executable if tree is None else str(tree.absolute() / ".venv/bin/python")
    with _running([python, "-m", "broker", *options], port, tree) as broker:
        yield broker


@contextlib.contextmanager
def stock_amqtt() -> Iterator[Broker]:
    """The broker that comes with amqtt, with nothing but what it needs."""
    port = free_port()
    config = f"""
listeners: {{default: {{type: tcp, bind: "127.0.0.1:{port}", max_connections: 20000}}}}
plugins: {{amqtt.plugins.authentication.AnonymousAuthPlugin: {{allow_anonymous: true}}}}
"""
    with _config_file(config) as path:
        command = [sys.executable, "-c", "from amqtt.scripts.broker_script import main; main()", "-c", path]
        with _running(command, port) as broker:
            yield broker


@contextlib.contextmanager
def mosquitto(*lines: str) -> Iterator[Broker]:
    """Mosquitto, told not to hold small packets back; `lines` are further settings."""
    port = free_port()
    basic = (f"listener {port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true")
    config = "\n".join((*basic, *lines, ""))
    with _config_file(config) as path, _running([_mosquitto() or "mosquitto", "-c", path], port) as broker:
        yield broker


def has_mosquitto() -> bool:
    """Whether Mosquitto is installed."""
    return _mosquitto() is not None


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def _config_file(text: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as folder:
        path = Path(folder) / "broker.conf"
        path.write_text(text, "utf-8")
        yield str(path)


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path | None = None) -> Iterator[Broker]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet)
    try:
        _wait_for(port, process)
        yield Broker(port, process.pid)
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_TIMEOUT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                sys.exit(f"{process.args!r} does not listen")
            time.sleep(0.02)
        else:
            return


def free_port() -> int:
    """A port that was free a moment ago."""
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """As many different ports that were free a moment ago."""
    ports = []
    with contextlib.ExitStack() as stack:
        # All are held until the last is found: one that is given back may be found a second time.
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    return ports
