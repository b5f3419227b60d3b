"""Which version of MQTT a node speaks to brokers elsewhere."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.programs import fog_node
from tests.support.version_door import UNSUPPORTED, VersionDoor
from weighbridge import Device


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
