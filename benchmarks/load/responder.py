"""An MQTT client that answers every task at once: in a node's place, it shows the broker's limit.

`python -m benchmarks.load.responder PORT`. It takes tasks and publishes results with QoS 1, as a node
does, and writes what one turn of its loop brings as one.
"""

import asyncio
import socket
import sys
from typing import cast

import uvloop

from benchmarks.load import frames

_OUTCOME = b'{"ok":true}'


class Responder(asyncio.Protocol):
    """The connection to the broker; `ready` is done once it is subscribed."""

    def __init__(self) -> None:
        self._waiting = b""
        self._packet_id = 0
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.write(frames.connect_frame("responder"))

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        data = self._waiting + data
        packets, used = frames.split(data)
        self._waiting = data[used:]
        out = [self._answer(first, data[start:end]) for first, start, end in packets]
        self._transport.write(b"".join(out))

    def _answer(self, first: int, body: bytes) -> bytes:
        match first & 0xF0:
            case frames.CONNACK:
                return frames.subscribe_frame("fog/tasks/#", 1)
            case frames.SUBACK:
                self.ready.set_result(None)
                return b""
            case frames.PUBLISH:
                return self._result(body)
            case _:
                return b""

    def _result(self, body: bytes) -> bytes:
        topic_end = 2 + int.from_bytes(body[:2], "big")
        device, number = body[2:topic_end].split(b"/")[-2:]
        self._packet_id = self._packet_id % 0xFFFF + 1
        topic = f"fog/results/{device.decode()}/{number.decode()}"
        packet_id = body[topic_end : topic_end + 2]
        return frames.puback_frame(packet_id) + frames.publish_frame(topic, _OUTCOME, self._packet_id)


async def respond(port: int) -> None:
    """Connect, say `ready`, and answer until the broker is gone."""
    _, responder = await asyncio.get_running_loop().create_connection(Responder, "127.0.0.1", port)
    await responder.ready
    print("ready", flush=True)
    await responder.ended


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(respond(int(sys.argv[1])))
