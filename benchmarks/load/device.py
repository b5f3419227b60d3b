"""One device: a connection that publishes tasks and takes their results."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from benchmarks.errors import BenchmarkFailed
from benchmarks.load import frames

OnResult = Callable[[int, bytes], None]
"""Called with a task's number and its outcome."""

TIMEOUT = 30.0
_LAST_PACKET_ID = 0xFFFF


class Device(asyncio.Protocol):
    """A device with a name of its own, which hears only its own results.

    What it sends within one turn of the loop, acknowledgements and tasks, leaves as one write.
    """

    def __init__(self, name: str, on_result: OnResult, version: int = 4) -> None:
        self.name = name
        self.version = version
        self._on_result = on_result
        self._transport: asyncio.Transport | None = None
        self._waiting = b""
        self._sending: list[bytes] = []
        self._packet_id = 0
        self._answer: asyncio.Future[None] | None = None
        self._unacknowledged = 0
        self._all_acknowledged = asyncio.Event()
        self._closed = False

    @classmethod
    async def connect(cls, port: int, name: str, on_result: OnResult, version: int = 4) -> "Device":
        """Connect to a broker on this machine and subscribe to the results."""
        device = cls(name, on_result, version)
        async with asyncio.timeout(TIMEOUT):
            await asyncio.get_running_loop().create_connection(lambda: device, "127.0.0.1", port)
            await device._ask(frames.connect_frame(f"bench-{name}", version))
            await device._ask(frames.subscribe_frame(f"fog/results/{name}/+", 1, version))
        return device

    def send(self, template: frames.PublishTemplate, number: int) -> None:
        """Submit a task."""
        self._packet_id = self._packet_id % _LAST_PACKET_ID + 1
        self._unacknowledged += 1
        self._later(template.frame(number, self._packet_id))

    async def acknowledged(self) -> None:
        """Return once the broker has acknowledged all that was sent."""
        async with asyncio.timeout(TIMEOUT):
            while self._unacknowledged:
                self._all_acknowledged.clear()
                await self._all_acknowledged.wait()

    def close(self) -> None:
        """Break off."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # uvloop does not set it by itself: with Nagle's algorithm a task would wait 40 ms now and then.
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BenchmarkFailed(f"the broker closed the connection of {self.name}"))
        elif not self._closed:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"the broker closed the connection of {self.name}", "exception": exc}
            )

    def data_received(self, data: bytes) -> None:
        if self._waiting:
            data = self._waiting + data
        packets, used = frames.split(data)
        self._waiting = data[used:] if used < len(data) else b""
        for first, start, end in packets:
            kind = first & 0xF0
            if kind == frames.PUBLISH:
                self._take(first, data, start, end)
            elif kind == frames.PUBACK:
                self._unacknowledged -= 1
                if not self._unacknowledged:
                    self._all_acknowledged.set()
            elif self._answer is not None:
                self._take_answer(kind, data[start:end])

    def _take(self, first: int, data: bytes, start: int, end: int) -> None:
        topic_end = start + 2 + (data[start] << 8 | data[start + 1])
        payload = topic_end
        if first & 0x06:
            payload += 2
            self._later(frames.puback_frame(data[topic_end:payload]))
        if self.version == 5:
            # They are short: their length is one byte.
            payload += 1 + data[payload]
        number = int(data[topic_end - frames.NUMBER_DIGITS : topic_end])
        self._on_result(number, data[payload:end])

    def _take_answer(self, kind: int, body: bytes) -> None:
        assert self._answer is not None
        if body[1] == 0 if kind == frames.CONNACK else body[-1] < 0x80:
            self._answer.set_result(None)
        else:
            self._answer.set_exception(BenchmarkFailed(f"the broker refused {self.name}"))

    async def _ask(self, packet: bytes) -> None:
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(packet)
        await self._answer
        self._answer = None

    def _later(self, packet: bytes) -> None:
        if not self._sending:
            asyncio.get_running_loop().call_soon(self._flush)
        self._sending.append(packet)

    def _flush(self) -> None:
        assert self._transport is not None
        self._transport.write(b"".join(self._sending))
        self._sending.clear()
