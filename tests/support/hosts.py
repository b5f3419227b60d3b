"""Several hosts on this machine: network namespaces on one bridge, without a way to any other network.

Needs Linux, root and `ip`. What a test that was killed left behind is taken away by the next.
"""

import contextlib
import functools
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest

from tests.support.programs import running

PREFIX = "weighbridge"
NETWORK = IPv4Network("10.77.0.0/24")
END_TIMEOUT = 10.0


def require_hosts() -> None:
    """Skip the test where no hosts can be laid out; fail it where everything has to be there."""
    if sys.platform == "linux" and shutil.which("ip") is None and os.environ.get("CI"):
        pytest.fail("ip is not installed (Debian: apt install iproute2)")
    fault = _fault()
    if fault is not None:
        pytest.skip(f"no hosts in network namespaces: {fault}")


@functools.cache
def _fault() -> str | None:
    if sys.platform != "linux":
        return "this is not Linux"
    if shutil.which("ip") is None:
        return "ip is not installed (Debian: apt install iproute2)"
    if os.geteuid() != 0:
        return "they need root"
    name = _unique("probe")
    made = _ip_says("netns", "add", name)
    _ip_says("netns", "delete", name)
    return made


@dataclass(frozen=True, slots=True)
class Host:
    """One of them: its name, its address, its namespace, and the port of the bridge its cable is in."""

    name: str
    address: str
    namespace: str
    port: str
    switch: str

    @property
    def inside(self) -> list[str]:
        """What a command begins with to be run inside the host."""
        return ["ip", "netns", "exec", self.namespace]

    def unplug(self) -> None:
        """Pull its cable out."""
        _ip("-netns", self.switch, "link", "set", self.port, "down")

    def plug(self) -> None:
        """Put its cable in again."""
        _ip("-netns", self.switch, "link", "set", self.port, "up")

    def delay(self, milliseconds: float) -> bool:
        """Delay all that goes out of it and comes to it by so much each way; False where the kernel can't."""
        wait = ("root", "netem", "delay", f"{milliseconds:g}ms")
        ways = ((self.namespace, "eth0"), (self.switch, self.port))
        return all(
            subprocess.run(
                ["tc", "-netns", namespace, "qdisc", "replace", "dev", device, *wait],
                capture_output=True,
                check=False,
            ).returncode
            == 0
            for namespace, device in ways
        )


class Hosts:
    """Hosts that reach each other and nothing else, for as long as the context lasts."""

    def __init__(self) -> None:
        self._switch = _unique("switch")
        self._hosts: list[Host] = []

    def __enter__(self) -> Self:
        _remove_leftovers()
        with contextlib.ExitStack() as failed:
            failed.callback(self._remove)
            self._add_namespace(self._switch)
            _ip("-netns", self._switch, "link", "add", "bridge", "type", "bridge")
            _ip("-netns", self._switch, "link", "set", "bridge", "up")
            failed.pop_all()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._remove()

    def add(self, name: str) -> Host:
        """Put one more host on the network."""
        number = len(self._hosts) + 1
        host = Host(
            name=name,
            address=str(NETWORK[number]),
            namespace=_unique(name),
            port=f"port{number}",
            switch=self._switch,
        )
        self._hosts.append(host)
        inside = ("-netns", host.namespace)
        self._add_namespace(host.namespace)
        ends = ("eth0", "netns", host.namespace, "type", "veth", "peer", host.port, "netns", self._switch)
        _ip("link", "add", *ends)
        _ip("-netns", self._switch, "link", "set", host.port, "master", "bridge", "up")
        _ip(*inside, "address", "add", f"{host.address}/{NETWORK.prefixlen}", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        return host

    @contextlib.contextmanager
    def far(self, host: Host, port: int, milliseconds: float, *, folder: Path) -> Iterator[str]:
        """The URL of a broker on `host` for those who are so far from it, each way.

        The kernel delays the host's cable where it can; elsewhere a proxy does, in a host of its own.
        """
        if host.delay(milliseconds):
            try:
                yield f"mqtt://{host.address}:{port}"
            finally:
                host.delay(0)
            return
        way = self.add(f"way-to-{host.name}")
        command = ("tests.support.proxy", way.address, host.address, str(port), f"{milliseconds:g}")
        with running(*command, folder=folder, inside=way.inside) as proxy:
            yield proxy.url

    def _add_namespace(self, name: str) -> None:
        _ip("netns", "add", name)
        # No IPv6: its addresses would be probed for a second before they may be used.
        _ip("netns", "exec", name, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
        _ip("-netns", name, "link", "set", "lo", "up")

    def _remove(self) -> None:
        for namespace in (*(host.namespace for host in self._hosts), self._switch):
            _remove_namespace(namespace)


def _remove_leftovers() -> None:
    """Remove the namespaces of tests that ended without doing so themselves."""
    listed = _ip("netns", "list")
    for name in (line.split()[0] for line in listed.splitlines() if line):
        prefix, _, rest = name.partition(".")
        owner = rest.split(".")[0]
        if prefix == PREFIX and owner.isdecimal() and not psutil.pid_exists(int(owner)):
            _remove_namespace(name)


def _remove_namespace(name: str) -> None:
    """End what runs in a namespace, and remove it. A second call does nothing."""
    give_up = time.monotonic() + END_TIMEOUT
    while (left := _pids(name)) and time.monotonic() < give_up:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        # Not psutil's wait, which would take their exit status from whoever started them.
        time.sleep(0.02)
    _ip_says("netns", "delete", name)


def _pids(namespace: str) -> list[psutil.Process]:
    found = subprocess.run(
        ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False
    ).stdout
    processes = []
    for pid in map(int, found.split()):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
    return processes


def _unique(name: str) -> str:
    return f"{PREFIX}.{os.getpid()}.{secrets.token_hex(3)}.{name}"


def _ip(*arguments: str) -> str:
    done = _run(("ip", *arguments))
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def _ip_says(*arguments: str) -> str | None:
    """What `ip` has against it, or None."""
    done = _run(("ip", *arguments))
    return None if done.returncode == 0 else done.stderr.strip() or "ip fails"


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
