"""Fog nodes that find each other through their cloud."""

import asyncio
from pathlib import Path

import pytest

from broker.contract.identity import Role
from broker.security.authority import make_authority, make_certificate
from tests.support.command_lines import assert_refused, said_here
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.programs import Program, cloud_node, fog_node
from weighbridge import Device

TIMEOUT = 30.0


async def share(device: Device) -> set[str]:
    """Who runs four medium tasks that come at once."""
    pending = [await device.send("medium", "sleep", 0.3) for _ in range(4)]
    return {(await one.outcome(timeout=TIMEOUT)).node for one in pending}


def test_a_node_that_advertises_itself_is_a_neighbour_while_it_is_there(tmp_path: Path) -> None:
    """The other one does not look for neighbours on the network, so that only the cloud can tell of it.

    They let in certificates only, the cloud and each other.
    """
    ports = {"cloud": free_port(), "fog-b": free_port()}
    make_authority(tmp_path)
    for name in ("cloud", "fog-a", "fog-b"):
        make_certificate(tmp_path, name, Role.NODE, hosts=["127.0.0.1"])

    def tls(name: str) -> list[str]:
        files = (("--ca", "ca.crt"), ("--cert", f"{name}.crt"), ("--key", f"{name}.key"))
        options = [word for flag, file in files for word in (flag, f"{tmp_path}/{file}")]
        if name in ports:
            options += ["--listen-tls", f"127.0.0.1:{ports[name]}", "--require-certificate"]
        return options

    def url(name: str) -> str:
        return f"mqtts://127.0.0.1:{ports[name]}"

    async def use(first: Program, second: Program) -> None:
        async with Device(first.url, name="me") as device:
            await eventually(lambda: "the node is new" in first.stderr, TIMEOUT)
            assert await share(device) == {"fog-a", "fog-b"}
            second.kill()
            await eventually(lambda: "neighbour_dropped" in first.stderr, TIMEOUT)
            assert await share(device) == {"fog-a"}

    with cloud_node(tmp_path, *tls("cloud")):
        common = ("--cloud", url("cloud"), "--workers", "medium=1")
        with (
            fog_node(tmp_path, *common, "--discover", *tls("fog-a")) as first,
            fog_node(tmp_path, *common, "--advertise", url("fog-b"), *tls("fog-b"), name="fog-b") as second,
        ):
            asyncio.run(use(first, second))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--advertise", "http://me"), "is not of the form mqtt://HOST"),
        (("--advertise", "mqtt://me:secret@host"), "holds no user and no password"),
        (("--advertise", "mqtt://host"), "give --cloud too"),
    ],
)
def test_an_address_that_cannot_be_told_is_refused_at_the_start(
    tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    assert_refused(said_here("fog_node", "--data", str(tmp_path), *options), sentence)
