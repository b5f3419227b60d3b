"""A real RabbitMQ for a test, on free loopback ports, with all that it writes in a folder of its own."""

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

import kombu
import pytest
from kombu.exceptions import OperationalError

from tests.support.mosquitto import free_port

START_TIMEOUT = 60.0

DEBIAN = "/usr/lib/rabbitmq/bin"
"""Here is the program itself; Debian's command on the PATH changes to a user of its own first."""


class RabbitMQ:
    """A broker that can be killed and started again on the same port, with what it has stored.

    Its Erlang needs a name server (epmd), which it would leave running: it gets one that ends with it.
    """

    def __init__(self, folder: Path) -> None:
        found = [
            shutil.which(name, path=f"{DEBIAN}:{os.environ['PATH']}") for name in ("rabbitmq-server", "epmd")
        ]
        if None in found:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("rabbitmq-server is not installed")
        self._server, self._epmd = map(str, found)
        self.port, names, distribution = free_port(), free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._folder = folder / f"rabbitmq-{self.port}"
        self._folder.mkdir(parents=True)
        config = self._folder / "rabbitmq.conf"
        # A machine of tests has little memory and disk to spare, and the alarms would block publishers.
        config.write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\n"
            "vm_memory_high_watermark.absolute = 1GB\n"
            "disk_free_limit.absolute = 10MB\n",
            "utf-8",
        )
        self._environment = {
            **os.environ,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(names),
            "HOME": str(self._folder),  # where Erlang keeps its cookie
            "RABBITMQ_ALLOW_INPUT": "1",  # no shell stays in between that would have to hand on signals
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_NODENAME": f"rabbit{self.port}@localhost",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; returns once it serves clients."""
        local = ("-kernel", "inet_dist_use_interface", "{127,0,0,1}")
        self._run(self._epmd)
        server = self._run(self._server, "-noinput", *local)
        give_up = time.monotonic() + START_TIMEOUT
        while not self._answers():
            output = (self._folder / "output").read_text("utf-8", "replace")
            assert server.poll() is None, f"RabbitMQ ended at once:\n{output}"
            assert time.monotonic() < give_up, f"RabbitMQ does not answer:\n{output}"
            time.sleep(0.1)

    def stop(self) -> None:
        """End it by kill -9, and its name server. A second call does nothing."""
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        """The process of the broker itself."""
        return self._processes[-1].pid

    def _run(self, *command: str) -> "subprocess.Popen[bytes]":
        with (self._folder / "output").open("ab") as output:
            process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._processes.append(process)
        return process

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, OperationalError), kombu.Connection(self.url) as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
            return True
        return False
