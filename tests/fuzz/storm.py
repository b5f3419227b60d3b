"""Many hostile clients at once against one port, and one good device that wants its answers meanwhile."""

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PUBLISH,
    RawClient,
    connect_packet,
    publish_packet,
)
from tests.fuzz.packets import bursts, by_websocket

ANSWER_TIMEOUT = 30.0

LINGERING = 40
"""Half-open connections at once."""


@dataclass
class GoodDevice:
    """Submits one task after another and counts the right answers."""

    port: int
    host: str = "127.0.0.1"
    local: str = "127.0.0.1"
    asked: int = 0
    answered: int = 0
    slowest: float = 0.0
    _client: RawClient | None = None

    async def connect(self) -> None:
        """Log in as `good` and listen for outcomes."""
        reader, writer = await asyncio.open_connection(self.host, self.port, local_addr=(self.local, 0))
        self._client = client = RawClient(reader, writer)
        client.send(connect_packet("good", username="good", password="good-secret", keepalive=0))
        answer = await client.receive(ANSWER_TIMEOUT)
        assert answer.kind == CONNACK
        assert answer.body == b"\0\0", answer
        assert await client.subscribe(("fog/results/good/+", 1)) == [1]

    async def ask(self) -> None:
        """Submit one task and wait for its outcome."""
        client = self._client
        assert client is not None
        self.asked += 1
        number = self.asked
        loop = asyncio.get_running_loop()
        began = loop.time()
        topic = f"fog/tasks/light/sum/good/{number}"
        client.send(publish_packet(topic, b"[%d,1]" % number, qos=1, packet_id=number % 65535 + 1))
        while True:
            found = await client.receive(ANSWER_TIMEOUT)
            if found.kind != PUBLISH:
                continue
            client.acknowledge(found)
            arrived = client.read_publish(found)
            if arrived.topic == f"fog/results/good/{number}":
                assert json.loads(arrived.payload)["value"] == number + 1
                self.answered += 1
                self.slowest = max(self.slowest, loop.time() - began)
                return

    async def go_on(self, until: asyncio.Event, pause: float = 0.02) -> None:
        """Ask until told to stop."""
        while not until.is_set():
            await self.ask()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), pause)

    def has_answered(self, count: int) -> bool:
        """Whether so many answers have come."""
        return self.answered >= count

    def leave(self) -> None:
        """Break off."""
        if self._client is not None:
            self._client.drop()


COUNTED = ("$SYS/broker/messages/received", "$SYS/broker/connections/protocol errors")


async def log_in(port: int, user: str) -> RawClient:
    """A connection of one of the node's users."""
    client = await RawClient.open(port)
    client.send(connect_packet("", username=user, password=f"{user}-secret", keepalive=0))
    answer = await client.receive(ANSWER_TIMEOUT)
    assert answer.body == b"\0\0", answer
    return client


class Watch:
    """What the broker says that it has read: packets taken in, and those it ended a session for."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._counts: dict[str, int] = {}

    @classmethod
    async def begin(cls, port: int) -> Self:
        """Log in as `watch` and listen to the counters, which are told every ten seconds."""
        client = await log_in(port, "watch")
        await client.subscribe(*((topic, 0) for topic in COUNTED))
        return cls(client)

    @property
    def read(self) -> int:
        """How many packets they were when it last said so."""
        return sum(self._counts.values())

    async def go_on(self) -> None:
        """Take in what the broker says, until cancelled."""
        while True:
            said = self._client.read_publish(await self._client.receive(ANSWER_TIMEOUT))
            self._counts[said.topic] = int(said.payload)

    def leave(self) -> None:
        """Break off."""
        self._client.drop()


@dataclass
class Storm:
    """Hostile sessions by a seed."""

    port: int
    ws_port: int
    seed: int
    clients: int = 20
    sent: int = 0
    sent_of_5: int = 0
    sessions: int = 0
    by_websocket: int = 0
    cut_off: int = 0
    _lingering: list[asyncio.StreamWriter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chances = [random.Random(f"{self.seed}-{number}") for number in range(self.clients)]

    async def run(self, enough: Callable[[], bool]) -> None:
        """Send until it is enough; a second call goes on."""
        async with asyncio.TaskGroup() as group:
            for chance in self._chances:
                group.create_task(self._attack(chance, enough))
        for writer in self._lingering:
            writer.transport.abort()
        self._lingering.clear()

    async def _attack(self, chance: random.Random, enough: Callable[[], bool]) -> None:
        while not enough():
            self.sessions += 1
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(10):
                    await self._session(chance)

    async def _session(self, chance: random.Random) -> None:
        version = chance.choice((4, 5))
        writes = bursts(chance, chance.choice(("mallory", "mallory", "evil", None)), version)
        port = self.port
        if chance.random() < 0.1:
            writes, port = by_websocket(chance, writes), self.ws_port
            self.by_websocket += 1
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for data, count in writes:
                writer.write(data)
                self.sent += count
                self.sent_of_5 += count * (version == 5)
                await writer.drain()
            # Most stay until the node has read it all; some go without a word, a few stay half open.
            match chance.randrange(20):
                case 0:
                    return
                case 1:
                    self._linger(writer)
                    return
                case _:
                    writer.write_eof()
                    await self._take(reader)
        except ConnectionError:
            self.cut_off += 1
        finally:
            if writer not in self._lingering:
                writer.transport.abort()

    def _linger(self, writer: asyncio.StreamWriter) -> None:
        """Keep a connection that reads nothing; the oldest makes room, so that all get their turn."""
        self._lingering.append(writer)
        if len(self._lingering) > LINGERING:
            oldest = self._lingering.pop(0)
            oldest.transport.abort()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while await reader.read(65536):
                    pass
                self.cut_off += 1
