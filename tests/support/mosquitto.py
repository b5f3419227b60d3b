"""A real Mosquitto for a test, on a free loopback port."""

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

# Below the ports that systems give out by themselves, and other ones in each process of tests.
_FIRST, _COUNT = 10_000 + os.getpid() % 200 * 100, 100
_ports = itertools.cycle(range(_FIRST, _FIRST + _COUNT))


def free_port() -> int:
    """A port that nobody listens on, and that no other suite is given at the same time."""
    for port in itertools.islice(_ports, _COUNT):
        with socket.socket() as probe, contextlib.suppress(OSError):
            # As brokers do: what lingers of a connection that has ended is in nobody's way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError(f"no port from {_FIRST} to {_FIRST + _COUNT - 1} is free")


class Mosquitto:
    """A broker process that can be stopped, frozen and started again on the same port."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.program = shutil.which("mosquitto") or shutil.which(
            "mosquitto", path="/usr/sbin:/usr/local/sbin"
        )
        if self.program is None:
            if os.environ.get("CI"):
                pytest.fail("mosquitto is not installed")
            pytest.skip("mosquitto is not installed")
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._config = folder / f"mosquitto-{self.port}.conf"
        basic = (f"listener {self.port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true")
        self._config.write_text("\n".join((*basic, *lines, "")), "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; returns once it listens."""
        assert self.program is not None
        self._process = subprocess.Popen(
            [self.program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        give_up = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, "mosquitto ended at once"
                assert time.monotonic() < give_up, "mosquitto does not listen"
                time.sleep(0.01)
            else:
                return

    def freeze(self) -> None:
        """Let it answer nothing from now on, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it. A second call does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
