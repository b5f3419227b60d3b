"""A load generator that costs little: packets of one size, written and compared by the stride.

It speaks only what it needs of MQTT 3.1.1 and 5, so that what is measured is the broker.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Self, cast

from benchmarks.load.frames import frame, no_properties, text

ACK_BYTES = 4
CONNECTING_AT_ONCE = 100


def publish_packet(topic: str, payload: bytes, *, qos: int, packet_id: int = 0, version: int = 4) -> bytes:
    """A PUBLISH, in MQTT 5 without properties."""
    number = packet_id.to_bytes(2, "big") if qos else b""
    return frame(0x30 | qos << 1, text(topic) + number + no_properties(version) + payload)


class Client(asyncio.Protocol):
    """A client that has been let in; what else comes goes to `take`."""

    def __init__(self, version: int = 4) -> None:
        self.version = version
        self._waiting = bytearray()
        self._wanted: tuple[int, asyncio.Future[bytes]] | None = None
        self.lost = False

    @classmethod
    async def connect(cls, port: int, version: int = 4) -> Self:
        """Connect with a clean session and no keepalive."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(version), "127.0.0.1", port)
        said = no_properties(version) + text("")
        client.write(frame(0x10, text("MQTT") + bytes((version, 2, 0, 0)) + said))
        first, length = await client.read(2)
        answer = await client.read(length)
        assert (first, answer[:2]) == (0x20, b"\0\0"), answer
        return client

    async def subscribe(self, filter: str, qos: int) -> None:
        """Subscribe, and return when that is confirmed."""
        nothing = no_properties(self.version)
        self.write(frame(0x82, b"\0\x01" + nothing + text(filter) + bytes((qos,))))
        answer = await self.read(5 + len(nothing))
        assert (answer[0], answer[-1]) == (0x90, qos), answer

    async def ping(self) -> None:
        """Return when the broker has answered a ping."""
        self.write(b"\xc0\0")
        answer = await self.read(2)
        assert answer == b"\xd0\0", answer

    async def read(self, size: int) -> bytes:
        """The next bytes from the broker."""
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._wanted = (size, done)
        self._satisfy()
        return await done

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    def stall(self) -> None:
        """Read nothing more."""
        self._transport.pause_reading()

    def close(self) -> None:
        """Break off."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        self._satisfy()

    def connection_lost(self, fault: Exception | None) -> None:
        self.lost = True
        if self._wanted is not None and not self._wanted[1].done():
            self._wanted[1].set_exception(fault or ConnectionError("the broker has closed"))

    def _satisfy(self) -> None:
        if self._wanted is None:
            return
        size, done = self._wanted
        if len(self._waiting) >= size:
            self._wanted = None
            taken = bytes(self._waiting[:size])
            del self._waiting[:size]
            done.set_result(taken)


class Publisher(Client):
    """Publishes with QoS 1 and a fixed number of messages on the way to the slowest that is waited for.

    A broker drops what its subscribers do not take, so that a publisher alone must not set the pace.
    """

    acknowledged = 0
    _readers: "Sequence[Subscriber]" = ()
    _frames: tuple[bytes, ...] = ()
    _sent = 0
    _limit = 0

    def run(
        self, topic: str, payload: bytes, *, window: int, limit: int, readers: "Sequence[Subscriber]"
    ) -> asyncio.Future[None]:
        """Begin; the future is done after `limit` acknowledgements."""
        self._readers = readers
        for reader in readers:
            reader.on_progress = self.proceed
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._frames = tuple(
            publish_packet(topic, payload, qos=1, packet_id=number, version=self.version)
            for number in range(1, window + 1)
        )
        self._limit = limit
        self.proceed()
        return self.done

    def data_received(self, data: bytes) -> None:
        if not self._frames:
            super().data_received(data)
            return
        self._waiting += data
        count, rest = divmod(len(self._waiting), ACK_BYTES)
        self._waiting = self._waiting[len(self._waiting) - rest :]
        self.acknowledged += count
        if self.acknowledged >= self._limit and not self.done.done():
            self.done.set_result(None)
        self.proceed()

    def proceed(self) -> None:
        """Send as many as may be on the way."""
        window = len(self._frames)
        arrived = min(self.acknowledged, *(reader.received for reader in self._readers))
        count = min(window - (self._sent - arrived), self._limit - self._sent)
        if not count:
            return
        first = self._sent % window
        self._sent += count
        self.write(b"".join((self._frames * 2)[first : first + count]))


class Subscriber(Client):
    """Counts messages of one size, and acknowledges them if they have QoS 1."""

    received = 0
    _stride = 0
    _number_at = 0
    done: asyncio.Future[None] | None = None
    on_progress: Callable[[], None] | None = None

    def expect(self, topic: str, payload: bytes, *, qos: int, limit: int = 0) -> None:
        """Count from now on; `done` is done after `limit` messages."""
        whole = publish_packet(topic, payload, qos=qos, packet_id=1, version=self.version)
        self._stride = len(whole)
        self._payload = no_properties(self.version) + payload
        head = self._stride - len(self._payload) - (2 if qos else 0)
        self._head, self._number_at = whole[:head], head if qos else 0
        self._limit = limit
        self.done = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self._stride:
            super().data_received(data)
            return
        waiting, stride, at = self._waiting, self._stride, self._number_at
        waiting += data
        end = len(waiting) - len(waiting) % stride
        for start in range(0, end, stride):
            # A rate counts only for what arrived as it was sent, and once: DUP would show in the head.
            assert waiting.startswith(self._head, start), "not the message that was sent"
            assert waiting.startswith(self._payload, start + stride - len(self._payload)), "not its payload"
        if at:
            self.write(
                b"".join(
                    b"\x40\x02" + waiting[start + at : start + at + 2] for start in range(0, end, stride)
                )
            )
        self.received += end // stride
        del waiting[:end]
        if self._limit and self.received >= self._limit and self.done is not None and not self.done.done():
            self.done.set_result(None)
        if self.on_progress is not None:
            self.on_progress()


@contextlib.asynccontextmanager
async def idle_subscribers(
    port: int, count: int, *, also: str | None = None, version: int = 4
) -> AsyncIterator[list[Client]]:
    """Clients that subscribe, each to filters of its own and to `also`, and then do nothing."""
    clients: list[Client] = []
    slots = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def add(number: int) -> None:
        async with slots:
            client = await Client.connect(port, version)
            await client.subscribe(f"idle/{number}/#", 0)
            if also is not None:
                await client.subscribe(also, 0)
            clients.append(client)

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(add(number), name=f"idle subscriber {number}")
        yield clients
    finally:
        for client in clients:
            client.close()
