"""The hosts themselves: they reach each other, and are gone afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.town import wait_for
from tests.support.hosts import Host, Hosts, require_hosts
from tests.support.programs import running

PING = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1)"


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    require_hosts()
    with Hosts() as laid_out:
        yield laid_out


def reaches(host: Host, address: str, port: int) -> bool:
    command = [*host.inside, sys.executable, "-c", PING, address, str(port)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, timeout=20, check=False).returncode == 0


def test_hosts_reach_each_other_while_their_cables_are_plugged_in(hosts: Hosts, tmp_path: Path) -> None:
    first, second = hosts.add("first"), hosts.add("second")
    command = ("broker", "--listen", f"{second.address}:0", "--allow-anonymous")
    with running(*command, folder=tmp_path, inside=second.inside) as broker:
        assert reaches(first, second.address, broker.port)
        second.unplug()
        assert not reaches(first, second.address, broker.port)
        second.plug()
        wait_for(lambda: reaches(first, second.address, broker.port), "the second is reached again")


def test_nothing_is_left_of_them(hosts: Hosts) -> None:
    with Hosts() as others:
        host = others.add("left")
        command = [*host.inside, "sh", "-c", "echo inside; exec sleep 60"]
        sleeper = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert sleeper.stdout is not None
        with sleeper.stdout as said:
            assert said.readline() == b"inside\n"
        assert listed(host)
    assert sleeper.wait(20) == -9
    assert not listed(host)


def listed(host: Host) -> bool:
    found = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return host.namespace in found
