"""Brokers that break the rules, over real sockets: the client gives up the connection and comes back."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest

from broker.client import BusClient, ClientSettings
from broker.contract.message import Message
from broker.contract.mqtt_version import MqttVersion
from broker.errors import EngineError, EngineUnavailable, PublishRefused
from tests.support.eventually import eventually

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]

ACCEPTED = b"\x20\x02\x00\x00"
ACCEPTED_5 = b"\x20\x03\x00\x00\x00"


class ScriptedBroker:
    """Serves each connection with the next script, the last one again and again."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.connections = 0
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        # A script that still listens would leave its socket to the collector.
        for writer in self._serving.values():
            writer.close()
        if self._serving:
            await asyncio.wait(self._serving, timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        try:
            await self._play(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            del self._serving[task]

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await script(reader, writer)


async def packet(reader: asyncio.StreamReader) -> bytes:
    """One small packet."""
    head = await reader.readexactly(2)
    return head + await reader.readexactly(head[1])


def says(*answers: bytes) -> Script:
    """A broker that answers the CONNECT so, and then hears what comes until the client leaves."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        for answer in answers:
            writer.write(answer)
        await reader.read(-1)

    return script


@contextlib.asynccontextmanager
async def connecting(
    *scripts: Script, mqtt: MqttVersion | None = 3, connect_timeout: float = 30.0
) -> AsyncIterator[tuple[ScriptedBroker, BusClient]]:
    broker = ScriptedBroker(*scripts)
    await broker.start()
    settings = ClientSettings(
        client_id="c",
        mqtt=mqtt,
        connect_timeout=connect_timeout,
        back_off_base=0.01,
        back_off_cap=0.05,
    )
    client = BusClient(broker.url, settings)
    client.start(lambda _: None, [])
    try:
        yield broker, client
    finally:
        await client.stop()
        await broker.stop()


@pytest.mark.parametrize(
    "answers",
    [
        [b"\xff" * 100],
        [b"\x30\xff\xff\xff\xff\xff"],
        [b"\xd0\x00"],
        [ACCEPTED, ACCEPTED],
        [ACCEPTED, b"\x36\x05\x00\x01a\x00\x01"],
        [b"\x20"],
        [],
    ],
    ids=["noise", "length", "no connack", "two connacks", "qos 3", "half a packet", "silence"],
)
async def test_a_connection_that_breaks_the_rules_is_given_up_and_the_next_one_serves(
    answers: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with connecting(says(*answers), says(ACCEPTED), connect_timeout=0.5) as (broker, client):
        await eventually(lambda: broker.connections >= 2 and client.connected)
    assert not caplog.records


async def test_a_refusal_is_told_in_the_words_of_mqtt() -> None:
    async with connecting(says(b"\x20\x02\x00\x05")) as (broker, client):
        await eventually(lambda: broker.connections > 2)
        with pytest.raises(Exception, match="not authorised"):
            await client.wait_connected(0.05)


def listens(spoken: list[int], answer: bytes, *, closes: bool = False) -> Script:
    """A broker that notes the version of a CONNECT, and answers so."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spoken.append((await packet(reader))[8])
        writer.write(answer)
        if not closes:
            await reader.read(-1)

    return script


@pytest.mark.parametrize("refusal", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00"])
async def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(refusal: bytes) -> None:
    spoken: list[int] = []
    scripts = (listens(spoken, refusal), listens(spoken, ACCEPTED, closes=True), listens(spoken, ACCEPTED))
    async with connecting(*scripts, mqtt=None) as (broker, client):
        await eventually(lambda: broker.connections == 3 and client.connected)
    assert spoken == [5, 4, 4]


@pytest.mark.parametrize("answer", [b"", b"\x05\x01\x00"], ids=["nothing", "noise"])
async def test_where_mqtt_5_ends_the_connection_3_1_1_is_tried_at_once(answer: bytes) -> None:
    """And 5 again the next time: perhaps the broker was only about to go."""
    spoken: list[int] = []
    refuses, accepts = listens(spoken, answer, closes=True), listens(spoken, ACCEPTED, closes=True)
    async with connecting(refuses, accepts, refuses, refuses, listens(spoken, ACCEPTED_5), mqtt=None) as (
        broker,
        client,
    ):
        await eventually(lambda: broker.connections == 5 and client.connected)
    assert spoken == [5, 4, 5, 4, 5]


@pytest.mark.parametrize(("mqtt", "spoken"), [(3, 4), (5, 5)])
async def test_a_version_that_was_chosen_by_hand_stays(mqtt: MqttVersion, spoken: int) -> None:
    heard: list[int] = []
    refuses, closes = listens(heard, b"\x20\x02\x00\x01"), listens(heard, b"", closes=True)
    async with connecting(refuses, closes, refuses, mqtt=mqtt) as (broker, _):
        await eventually(lambda: broker.connections > 3)
    assert set(heard) == {spoken}


@pytest.mark.parametrize(("reason", "fault"), [(0x87, PublishRefused), (0x97, EngineUnavailable)])
async def test_a_message_that_is_refused_is_told_whether_to_try_again(
    reason: int, fault: type[EngineError]
) -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(ACCEPTED_5)
        writer.write(b"\x40\x03" + (await packet(reader))[5:7] + bytes((reason,)))
        await reader.read(-1)

    async with connecting(refuses, mqtt=None) as (_, client):
        with pytest.raises(EngineError, match="refused a message") as caught:
            await client.publish(Message(topic="a", payload=b"x", qos=1))
    assert type(caught.value) is fault


async def test_a_broker_that_falls_silent_is_noticed() -> None:
    # It asks for one packet a second, and answers none of them.
    impatient = b"\x20\x06\x00\x00\x03\x13\x00\x01"
    async with connecting(says(impatient), says(ACCEPTED_5), mqtt=None) as (broker, client):
        await eventually(lambda: client.connected)
        await eventually(lambda: broker.connections >= 2)


async def test_what_was_not_acknowledged_is_sent_again_under_its_number_when_the_session_was_kept() -> None:
    heard: list[bytes] = []

    def takes_one(answer: bytes, *, acknowledges: bool) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await packet(reader)
            writer.write(answer)
            publish = await packet(reader)
            heard.append(publish)
            if acknowledges:
                writer.write(b"\x40\x02" + publish[5:7])
                await reader.read(-1)

        return script

    kept = b"\x20\x02\x01\x00"
    scripts = (takes_one(ACCEPTED, acknowledges=False), takes_one(kept, acknowledges=True))
    async with connecting(*scripts) as (_, client):
        async with asyncio.timeout(30):
            await client.publish(Message(topic="a", payload=b"x", qos=1))
    first, second = heard
    assert (first[0], second[0]) == (0x32, 0x3A)
    assert first[1:] == second[1:]


async def test_no_more_is_on_its_way_than_the_broker_wants() -> None:
    together: list[int] = []

    async def wants_two(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(b"\x20\x06\x00\x00\x03\x21\x00\x02")
        for _ in range(3):
            numbers = [(await packet(reader))[5:7] for _ in range(2)]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    numbers.append((await packet(reader))[5:7])
            together.append(len(numbers))
            for number in numbers:
                writer.write(b"\x40\x02" + number)
        await reader.read(-1)

    async with connecting(wants_two, mqtt=None) as (_, client):
        await client.wait_connected(30)
        sent = [client.publish(Message(topic="a", payload=b"x", qos=1)) for _ in range(6)]
        async with asyncio.timeout(30):
            await asyncio.gather(*sent)
    assert together == [2, 2, 2]


async def test_a_message_of_qos_2_that_comes_twice_is_handed_over_once() -> None:
    publish = b"\x34\x06\x00\x01a\x00\x09x"
    answers: list[bytes] = []

    async def repeats_itself(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(ACCEPTED + publish + bytes((publish[0] | 0x08, *publish[1:])))
        answers.extend([await packet(reader), await packet(reader)])
        writer.write(b"\x62\x02\x00\x09")
        answers.append(await packet(reader))
        await reader.read(-1)

    broker = ScriptedBroker(repeats_itself)
    await broker.start()
    arrived: list[Message] = []
    client = BusClient(broker.url, ClientSettings(client_id="c", mqtt=3))
    client.start(arrived.append, [])
    await eventually(lambda: len(answers) == 3)
    await client.stop()
    await broker.stop()
    assert answers == [b"\x50\x02\x00\x09", b"\x50\x02\x00\x09", b"\x70\x02\x00\x09"]
    assert [message.payload for message in arrived] == [b"x"]


async def test_what_is_published_before_the_start_is_sent_after_it() -> None:
    client = BusClient("mqtt://127.0.0.1:1", ClientSettings(client_id="c"))
    waiting = client.publish(Message(topic="a", payload=b"x", qos=1))
    assert not waiting.done()
    client.start(lambda _: None, [])
    await client.stop()
    assert waiting.cancelled()
