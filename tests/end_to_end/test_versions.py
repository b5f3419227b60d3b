"""Which version of MQTT nodes and devices speak to each other."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from broker.contract.mqtt_version import NAMES, MqttVersion
from broker.links.link import Link
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.programs import fog_node, running
from tests.support.version_door import UNSUPPORTED, VersionDoor
from weighbridge import Device, NodeUnreachable


@pytest.mark.parametrize(
    ("options", "old_heard", "new_heard"), [((), [5, 4], [5]), (("--mqtt", "3"), [4], [4])]
)
async def test_it_speaks_the_newest_that_each_takes_or_what_is_asked_for(
    tmp_path: Path, mosquitto: Mosquitto, options: Sequence[str], old_heard: list[int], new_heard: list[int]
) -> None:
    (tmp_path / "other").mkdir()
    with Mosquitto(tmp_path / "other") as elsewhere, contextlib.ExitStack() as nodes:
        async with VersionDoor(mosquitto.port, UNSUPPORTED) as old, VersionDoor(elsewhere.port) as new:
            node = fog_node(tmp_path, "--engine", old.url, "--neighbour", new.url, *options)
            # In a thread, because the doors are here.
            await asyncio.to_thread(nodes.enter_context, node)
            async with Device(mosquitto.url) as device:
                assert await device.submit("light", "sum", [1, 2]) == 3
            await eventually(lambda: new.spoken)
            await asyncio.to_thread(nodes.close)
            assert (old.spoken, new.spoken) == (old_heard, new_heard)


@pytest.mark.parametrize(("served", "other"), [(3, 5), (5, 3)])
async def test_what_a_broker_serves_is_spoken_and_what_it_does_not_is_said(
    tmp_path: Path, served: MqttVersion, other: MqttVersion
) -> None:
    options = ("--listen", "127.0.0.1:0", "--mqtt-versions", str(served))
    with running("broker", *options, folder=tmp_path) as broker:
        async with Device(broker.url), Device(broker.url, mqtt=served):
            link = Link(broker.url, node="n")
            link.start(lambda _: None, ["fog/#"])
            await asyncio.wait_for(link.wait_connected(), 30)
            await link.stop()
        with pytest.raises(NodeUnreachable, match=f"only MQTT {NAMES[other]} was tried"):
            await Device(broker.url, mqtt=other).__aenter__()
