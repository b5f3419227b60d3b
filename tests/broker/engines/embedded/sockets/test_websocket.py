"""What is a WebSocket's own; every other behaviour runs over one in the tests shared with Mosquitto."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from broker.contract.message import Message
from broker.engines.embedded import EmbeddedEngine, EmbeddedSettings
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded, websocket_url
from tests.broker.engines.embedded.raw_client import connect_packet, packet, publish_packet
from tests.support.eventually import eventually

WELCOME = b"\x20\x02\0\0"
SETTINGS = EmbeddedSettings(listen=LOOPBACK, websocket=LOOPBACK)


@pytest.fixture
async def engine() -> AsyncIterator[EmbeddedEngine]:
    async with embedded(SETTINGS) as (engine, _):
        yield engine


def open_to(engine: EmbeddedEngine, name: str = "mqtt") -> connect:
    return connect(websocket_url(engine), subprotocols=[Subprotocol(name)], ping_interval=None)


async def closed(websocket: ClientConnection) -> bool:
    async with asyncio.timeout(5):
        await websocket.wait_closed()
    return True


@pytest.mark.parametrize("name", ["mqtt", "mqttv3.1", "MQTT"])
async def test_the_subprotocol_is_agreed(engine: EmbeddedEngine, name: str) -> None:
    async with open_to(engine, name) as websocket:
        assert websocket.subprotocol == name
        await websocket.send(connect_packet("web"))
        assert await websocket.recv() == WELCOME


async def test_a_client_that_names_no_subprotocol_is_let_in(engine: EmbeddedEngine) -> None:
    async with connect(websocket_url(engine), ping_interval=None) as websocket:
        assert websocket.subprotocol is None
        await websocket.send(connect_packet("web"))
        assert await websocket.recv() == WELCOME


async def test_a_handshake_that_fails_is_counted_and_told(engine: EmbeddedEngine) -> None:
    with structlog.testing.capture_logs() as logs:
        with pytest.raises(InvalidStatus):
            await open_to(engine, "chat").__aenter__()
        await eventually(lambda: engine.counters.handshakes_failed == 1)
    (line,) = [one for one in logs if one["event"] == "connection_refused"]
    assert line["address"] == "127.0.0.1"
    assert "it offers the subprotocol chat; MQTT's is mqtt" in line["reason"]


async def test_text_is_refused(engine: EmbeddedEngine) -> None:
    async with open_to(engine) as websocket:
        await websocket.send("hello")
        assert await closed(websocket)


async def test_packets_need_not_keep_to_frames(engine: EmbeddedEngine) -> None:
    """One packet in many frames, and many packets in one frame."""
    async with open_to(engine) as websocket:
        for byte in connect_packet("web"):
            await websocket.send(bytes((byte,)))
        assert await websocket.recv() == WELCOME
        await websocket.send(publish_packet("a", b"", qos=1, packet_id=1) + packet(12))
        assert await websocket.recv() == b"\x40\x02\0\x01\xd0\0"


async def test_both_kinds_of_clients_meet(engine: EmbeddedEngine) -> None:
    """What was published by TCP or by the node arrives by WebSocket."""
    async with open_to(engine) as websocket:
        await websocket.send(connect_packet("web") + packet(8, b"\0\x01\0\x01a\0", flags=2))
        assert await websocket.recv() == WELCOME + b"\x90\x03\0\x01\0"
        engine.publish(Message(topic="a", payload=b"x"))
        assert await websocket.recv() == publish_packet("a", b"x")


async def test_a_frame_that_is_too_large_ends_the_connection() -> None:
    async with embedded(replace(SETTINGS, max_packet=1000)) as (engine, _), open_to(engine) as websocket:
        await websocket.send(connect_packet("web"))
        await websocket.recv()
        await websocket.send(bytes(2000))
        assert await closed(websocket)


async def test_who_does_not_connect_is_closed() -> None:
    async with embedded(replace(SETTINGS, connect_timeout=0.1)) as (engine, _), open_to(engine) as websocket:
        assert await closed(websocket)


async def test_the_bound_on_connections_counts_both_kinds() -> None:
    async with embedded(replace(SETTINGS, connections=1)) as (engine, place):
        await place.connect()
        with pytest.raises(InvalidMessage):
            # It is closed before its request is read.
            await open_to(engine).__aenter__()
        assert engine.counters.connections_refused == 1


async def test_stopping_closes_web_sockets() -> None:
    async with embedded(SETTINGS) as (engine, _), open_to(engine) as websocket:
        await websocket.send(connect_packet("web"))
        await websocket.recv()
        await engine.stop()
        assert await closed(websocket)
