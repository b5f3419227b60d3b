"""Which version of MQTT a device speaks, and what it gains by MQTT 5."""

import asyncio
import contextlib
import getpass
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from broker.contract.messages import ErrorCode
from broker.contract.mqtt_version import MqttVersion
from device_sim.client.device import Device
from device_sim.errors import Forbidden, NodeUnreachable, Overloaded, RateLimited, TooLarge
from device_sim.fleet.fleet import Fleet
from device_sim.fleet.settings import FleetSettings
from tests.device_sim.client.test_device import ACCEPTED, FAST, fake_broker
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.scripted_node import ScriptedNode
from tests.support.version_door import UNSUPPORTED, VersionDoor

UNACCEPTABLE = b"\x20\x02\x00\x01"
ACCEPTED_5, GRANTED = b"\x20\x03\x00\x00\x00", b"\x90\x04\x00\x01\x00\x01"


@pytest.mark.parametrize(
    "refusal",
    [UNSUPPORTED, UNACCEPTABLE, b"", ACCEPTED],
    ids=["in MQTT 5", "in MQTT 3.1.1", "by closing", "by taking it for 3.1.1"],
)
async def test_a_broker_that_refuses_mqtt_5_is_spoken_to_in_3_1_1_from_then_on(
    node: ScriptedNode, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture, refusal: bytes
) -> None:
    async with VersionDoor(mosquitto.port, refusal) as old, Device(old.url, settings=FAST) as device:
        assert await device.submit("light", "sum", [1, 2]) == 3
        assert old.spoken == [5, 4]
        old.cut()
        await eventually(lambda: not device.connected)
        old.mend()
        assert await device.submit("light", "sum", [3]) == 3
        assert set(old.spoken[2:]) == {4}
    assert not caplog.records


@pytest.mark.parametrize(("mqtt", "spoken"), [(None, [5]), (5, [5]), (3, [4])])
async def test_a_version_is_chosen_by_hand_or_the_newest(
    mosquitto: Mosquitto, mqtt: MqttVersion | None, spoken: list[int]
) -> None:
    async with VersionDoor(mosquitto.port) as door, Device(door.url, mqtt=mqtt):
        assert door.spoken == spoken


async def test_what_was_asked_for_by_hand_and_is_refused_is_said(mosquitto: Mosquitto) -> None:
    async with VersionDoor(mosquitto.port, UNSUPPORTED) as old:
        with pytest.raises(NodeUnreachable, match="Unsupported protocol version; only MQTT 5 was tried"):
            await Device(old.url, mqtt=5).__aenter__()
        assert old.spoken == [5]
    with pytest.raises(ValueError, match="mqtt=4 is no version"):
        Device(mosquitto.url, mqtt=4)  # type: ignore[arg-type]


async def test_a_publish_that_is_denied_is_told_at_once(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic read #\n", "utf-8")
    with Mosquitto(tmp_path, f"acl_file {rules}", f"user {getpass.getuser()}") as broker:
        async with Device(broker.url) as device:
            with pytest.raises(Forbidden, match="Not authorized") as caught:
                await device.submit("light", "sum", [1], id="7")
            assert (caught.value.outcome.id, caught.value.outcome.task) == ("7", "sum")
            # It is not on its way any more.
            assert not (await device.outcome("light", "sum", [1], id="7")).ok
            with pytest.raises(NodeUnreachable, match="refused to cancel 7: Not authorized"):
                await device.cancel("7")


async def test_what_is_larger_than_the_broker_takes_is_told_instead_of_sent(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, "max_packet_size 2000") as broker:
        async with ScriptedNode(broker.url), VersionDoor(broker.port) as door, Device(door.url) as device:
            with pytest.raises(TooLarge, match="3000 bytes; the broker takes packets of 2000"):
                await device.submit("light", "raw", b"x" * 3000)
            assert await device.submit("light", "raw", b"x" * 1800) == 1800
            assert door.connections == 1


async def packet(reader: asyncio.StreamReader) -> bytes:
    """One small packet."""
    head = await reader.readexactly(2)
    return head + await reader.readexactly(head[1])


async def test_no_more_is_on_its_way_than_the_broker_wants() -> None:
    together: list[int] = []

    async def wants_two(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await packet(reader)
            writer.write(b"\x20\x06\x00\x00\x03\x21\x00\x02")
            await packet(reader)
            writer.write(GRANTED)
            for _ in range(3):
                publishes = [await packet(reader) for _ in range(2)]
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        publishes.append(await packet(reader))
                together.append(len(publishes))
                for one in publishes:
                    number = 4 + one[3]
                    writer.write(b"\x40\x02" + one[number : number + 2])
            await reader.read(-1)

    server = await asyncio.start_server(wants_two, "127.0.0.1", 0)
    url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Device(url, name="me") as device:
        for _ in range(6):
            await device.send("light", "sum", [1])
        await eventually(lambda: len(together) == 3)
    assert together == [2, 2, 2]


async def test_a_deadline_is_told_to_the_broker_too(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    """So that one that keeps tasks for a node that is away forgets this one in time."""
    heard = aiomqtt.Client("127.0.0.1", mosquitto.port, protocol=aiomqtt.ProtocolVersion.V5)
    async with heard, Device(mosquitto.url) as device:
        await heard.subscribe("fog/tasks/#")
        assert await device.submit("light", "sum", [1], deadline=5) == 1
        assert await device.submit("light", "sum", [2]) == 2
        timed, plain = [await anext(aiter(heard.messages)) for _ in range(2)]
    assert [getattr(one.properties, "MessageExpiryInterval", None) for one in (timed, plain)] == [6, None]


def refusing(reason: int, sentence: str) -> bytes:
    """The PUBACK of the first message of a device, which subscribes first."""
    text = b"\x1f" + len(sentence).to_bytes(2, "big") + sentence.encode()
    rest = bytes((0, 2, reason, len(text))) + text
    return bytes((0x40, len(rest))) + rest


def outcome(code: ErrorCode) -> bytes:
    """The outcome of task 7 of device `me`."""
    topic, error = b"fog/results/me/7", f'{{"code":"{code}","message":"too fast"}}'
    payload = f'{{"ok":false,"error":{error},"id":"7","task":"sum","node":"a","route":["a"]}}'.encode()
    rest = len(topic).to_bytes(2, "big") + topic + b"\x00" + payload
    return bytes((0x30, len(rest) % 128 + 128, len(rest) // 128)) + rest


@contextlib.asynccontextmanager
async def refused_device(*answers: bytes) -> AsyncIterator[Device]:
    broker = fake_broker(ACCEPTED_5, GRANTED, b"".join(answers), hang_up=False)
    async with broker as url, Device(url, name="me") as device:
        yield device


async def test_a_refusal_is_told_in_the_words_of_the_broker() -> None:
    async with refused_device(refusing(0x97, "wait a little")) as device:
        with pytest.raises(Overloaded, match="wait a little"):
            await device.submit("light", "sum", [1], id="7")


async def test_a_refusal_without_an_error_code_of_its_own_is_told_too() -> None:
    async with refused_device(refusing(0x83, "not on Sundays")) as device:
        with pytest.raises(NodeUnreachable, match="did not take sum 7: not on Sundays"):
            await device.submit("light", "sum", [1], id="7")


async def test_a_fleet_counts_what_the_broker_did_not_take() -> None:
    broker = fake_broker(ACCEPTED_5, GRANTED, refusing(0x83, "not on Sundays"), hang_up=False)
    async with broker as url:
        settings = FleetSettings(node=[url], seconds=0.3, light=200, medium=0, heavy=0, grace=5)
        report = await Fleet(settings).run(asyncio.Event())
    assert report.weights["light"].failed == {"refused": 1}


@pytest.mark.parametrize("outcome_first", [True, False])
async def test_of_a_refusal_and_its_outcome_the_outcome_is_told_and_once(*, outcome_first: bool) -> None:
    """One reason stands for several errors, and only the outcome says which."""
    answers = [refusing(0x97, "too fast"), outcome(ErrorCode.RATE_LIMITED)]
    async with refused_device(*(reversed(answers) if outcome_first else answers)) as device:
        pending = await device.send("light", "sum", [1], id="7")
        for _ in range(2):
            with pytest.raises(RateLimited):
                await pending.value()


def test_a_device_is_called_after_its_user() -> None:
    assert Device("mqtt://thermo:secret@127.0.0.1").name == "thermo"
    assert Device("mqtt://thermo:secret@127.0.0.1", name="other").name == "other"
