"""An MQTT client that writes and reads packets by hand, so that a broker is tested byte for byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)
PATIENCE = 30.0
NEVER_EXPIRES = b"\x11\xff\xff\xff\xff"
"""The property of a session that stays for ever."""


class Closed(Exception):
    """Raised when the broker has closed the connection."""


@dataclass(frozen=True)
class Will:
    """What a broker is to publish when its client dies."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: bytes = b""


@dataclass(frozen=True)
class Packet:
    """A packet from the broker."""

    kind: int
    flags: int
    body: bytes

    @property
    def packet_id(self) -> int:
        start = 2 + int.from_bytes(self.body[:2], "big") if self.kind == PUBLISH else 0
        return int.from_bytes(self.body[start : start + 2], "big")


@dataclass(frozen=True, order=True)
class Arrived:
    """A PUBLISH from the broker."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    properties: bytes = b""


def text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def varint(value: int) -> bytes:
    written = bytearray()
    while True:
        written.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(written)


def take_varint(data: bytes) -> tuple[int, bytes]:
    """The number that the data begins with, and what is behind it."""
    value = shift = 0
    for at, byte in enumerate(data, 1):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, data[at:]
    raise AssertionError(f"a number without an end: {data.hex()}")


def sized(data: bytes) -> bytes:
    """The data with its length before it, as packets and the properties of MQTT 5 have it."""
    return varint(len(data)) + data


def unsized(data: bytes) -> tuple[bytes, bytes]:
    """Take off the length that `sized` puts there: the data, and what is behind it."""
    length, rest = take_varint(data)
    return rest[:length], rest[length:]


def packet(kind: int, body: bytes = b"", *, flags: int = 0) -> bytes:
    return bytes((kind << 4 | flags,)) + sized(body)


def connect_packet(
    client_id: str,
    *,
    clean: bool = True,
    keepalive: int = 60,
    will: Will | None = None,
    username: str | None = None,
    password: str | None = None,
    name: str = "MQTT",
    level: int = 4,
    properties: bytes = b"",
) -> bytes:
    flags = clean << 1
    fields = text(client_id)
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        fields += (
            (sized(will.properties) if level == 5 else b"")
            + text(will.topic)
            + len(will.payload).to_bytes(2, "big")
            + will.payload
        )
    if username is not None:
        flags |= 0x80
        fields += text(username)
    if password is not None:
        flags |= 0x40
        fields += text(password)
    head = text(name) + bytes((level, flags)) + keepalive.to_bytes(2, "big")
    return packet(CONNECT, head + (sized(properties) if level == 5 else b"") + fields)


def publish_packet(
    topic: str,
    payload: bytes,
    *,
    qos: int = 0,
    retain: bool = False,
    dup: bool = False,
    packet_id: int = 1,
    properties: bytes | None = None,
) -> bytes:
    """A PUBLISH: of MQTT 5 where there are properties, be they empty."""
    middle = packet_id.to_bytes(2, "big") if qos else b""
    if properties is not None:
        middle += sized(properties)
    return packet(PUBLISH, text(topic) + middle + payload, flags=dup << 3 | qos << 1 | retain)


class RawClient:
    """One connection. What arrives is acknowledged only where a test says so.

    With `mqtt5` packets have properties; `welcome` are those of its CONNACK.
    """

    mqtt5 = False
    welcome = b""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last_id = 0

    @classmethod
    async def open(cls, port: int) -> "RawClient":
        """Open a connection and say nothing."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def send_ack(self, kind: int, packet_id: int, reason: int = 0) -> None:
        body = packet_id.to_bytes(2, "big") + (bytes((reason,)) if reason else b"")
        self.send(packet(kind, body, flags=2 if kind == PUBREL else 0))

    def send_publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        packet_id: int = 1,
        properties: bytes = b"",
    ) -> None:
        """Publish in the client's version, and wait for nothing."""
        said = properties if self.mqtt5 else None
        self.send(
            publish_packet(
                topic, payload, qos=qos, retain=retain, dup=dup, packet_id=packet_id, properties=said
            )
        )

    async def receive(self, patience: float = PATIENCE) -> Packet:
        """The next packet. Raises Closed."""
        try:
            async with asyncio.timeout(patience):
                first = (await self._reader.readexactly(1))[0]
                length, shift = 0, 0
                while True:
                    byte = (await self._reader.readexactly(1))[0]
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if byte < 0x80:
                        break
                return Packet(first >> 4, first & 0x0F, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError) as fault:
            raise Closed from fault

    async def expect(self, kind: int) -> Packet:
        """The next packet, which has to be of this kind."""
        found = await self.receive()
        assert found.kind == kind, found
        return found

    async def closed(self, patience: float = PATIENCE) -> bool:
        """Wait until the broker closes; packets until then are passed over."""
        while True:
            try:
                await self.receive(patience)
            except Closed:
                return True

    async def subscribe(self, *filters: tuple[str, int], properties: bytes = b"") -> list[int]:
        """Subscribe, and return the codes; retained messages that overtake the answer are put back.

        With MQTT 5, what is said of a filter are all its options.
        """
        self._last_id += 1
        wanted = b"".join(text(one) + bytes((options,)) for one, options in filters)
        self.send(packet(SUBSCRIBE, self._head(properties) + wanted, flags=2))
        early = b""
        while (found := await self.receive()).kind != SUBACK:
            early += packet(found.kind, found.body, flags=found.flags)
        if early:
            self._put_back(early)
        assert found.packet_id == self._last_id
        return self._codes(found)

    async def unsubscribe(self, *filters: str) -> list[int]:
        """Unsubscribe, and return the codes, which only MQTT 5 has."""
        self._last_id += 1
        self.send(packet(UNSUBSCRIBE, self._head(b"") + b"".join(map(text, filters)), flags=2))
        found = await self.expect(UNSUBACK)
        assert found.packet_id == self._last_id
        return self._codes(found)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False, properties: bytes = b""
    ) -> None:
        """Publish and wait until the broker has taken it in (a ping, with QoS 0)."""
        self._last_id += 1
        number = self._last_id
        self.send_publish(topic, payload, qos=qos, retain=retain, packet_id=number, properties=properties)
        if qos == 0:
            self.send(packet(PINGREQ))
        kinds = {0: (PINGRESP,), 1: (PUBACK,), 2: (PUBREC, PUBCOMP)}[qos]
        kept = b""
        for kind in kinds:
            while (found := await self.receive()).kind != kind or (qos and found.packet_id != number):
                kept += packet(found.kind, found.body, flags=found.flags)
            if kind == PUBREC:
                self.send_ack(PUBREL, number)
        if kept:
            self._put_back(kept)

    async def pending(self, *, acknowledge: bool = True) -> list[Arrived]:
        """All messages the broker has for us now: those that come before its answers to our pings.

        Acknowledging may let more come, so it is asked again until nothing does.
        """
        arrived: list[Arrived] = []
        while found := await self._until_ping():
            for one in found:
                if one.kind == PUBLISH:
                    arrived.append(self.read_publish(one))
                    if acknowledge:
                        self.acknowledge(one)
                elif one.kind == PUBREL and acknowledge:
                    self.send_ack(PUBCOMP, one.packet_id)
            if not acknowledge:
                break
        return arrived

    async def ping(self) -> list[Packet]:
        """Everything that comes before the answer to a ping."""
        return await self._until_ping()

    def acknowledge(self, one: Packet) -> None:
        qos = one.flags >> 1 & 3
        if qos:
            self.send_ack(PUBACK if qos == 1 else PUBREC, one.packet_id)

    def read_publish(self, one: Packet) -> Arrived:
        end = 2 + int.from_bytes(one.body[:2], "big")
        qos = one.flags >> 1 & 3
        topic, payload = one.body[2:end].decode(), one.body[end + 2 if qos else end :]
        properties, payload = unsized(payload) if self.mqtt5 else (b"", payload)
        return Arrived(topic, payload, qos, bool(one.flags & 1), bool(one.flags & 8), properties)

    async def disconnect(self, body: bytes = b"") -> None:
        """Leave in good order, or with another reason in the body; returns once the broker has closed."""
        self.send(packet(DISCONNECT, body))
        await self.closed()
        self.drop()

    def drop(self) -> None:
        """Break the connection off."""
        self._writer.transport.abort()

    async def _until_ping(self) -> list[Packet]:
        self.send(packet(PINGREQ))
        found = []
        while (one := await self.receive()).kind != PINGRESP:
            found.append(one)
        return found

    def _head(self, properties: bytes) -> bytes:
        return self._last_id.to_bytes(2, "big") + (sized(properties) if self.mqtt5 else b"")

    def _codes(self, answer: Packet) -> list[int]:
        return list(unsized(answer.body[2:])[1] if self.mqtt5 else answer.body[2:])

    def _put_back(self, data: bytes) -> None:
        rest = bytes(self._reader._buffer)  # type: ignore[attr-defined]
        self._reader._buffer.clear()  # type: ignore[attr-defined]
        self._reader._buffer.extend(data + rest)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Place:
    """Where a broker listens; its clients are dropped at the end of a test.

    They speak the `usual` version unless told otherwise. Where that is MQTT 5, a session that is not clean
    stays for ever, as it does in the versions before.
    """

    port: int
    stack: contextlib.AsyncExitStack
    usual: int = 4

    async def open(self) -> RawClient:
        client = await RawClient.open(self.port)
        self.stack.callback(client.drop)
        return client

    async def connect(
        self,
        client_id: str = "",
        *,
        clean: bool = True,
        keepalive: int = 60,
        will: Will | None = None,
        name: str = "MQTT",
        level: int | None = None,
        present: bool = False,
        properties: bytes = b"",
    ) -> RawClient:
        """A client that was let in; `present` is what the broker has to say of its session."""
        if level is None:
            level, properties = self.usual, properties + (b"" if clean else NEVER_EXPIRES)
        client = await self.open()
        client.send(
            connect_packet(
                client_id,
                clean=clean,
                keepalive=keepalive,
                will=will,
                name=name,
                level=level,
                properties=properties,
            )
        )
        answer = await client.expect(CONNACK)
        assert answer.body[:2] == bytes((present, 0)), answer
        client.mqtt5 = level == 5
        client.welcome = unsized(answer.body[2:])[0] if client.mqtt5 else answer.body[2:]
        return client


@contextlib.asynccontextmanager
async def place_at(port: int) -> AsyncIterator[Place]:
    """A broker's port with the clients that come to it."""
    async with contextlib.AsyncExitStack() as stack:
        yield Place(port, stack)
