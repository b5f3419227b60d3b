"""Packets that nobody well-behaved sends: random ones, and valid ones with something wrong. Seeded."""

import random
from collections.abc import Iterator

from broker.contract.messages import HandOff, encode
from tests.broker.engines.embedded.raw_client import (
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Will,
    connect_packet,
    packet,
    publish_packet,
    sized,
    text,
)
from tests.fuzz.properties import CONNECTS, PUBLISHES, SUBSCRIBES, USERS, WILLS, WRONG, some

AUTH = 15

TOPICS = (
    "fog/tasks/light/sum/mallory/{}",
    "fog/tasks/light/echo/mallory",
    "fog/tasks/auto/nothing/mallory/{}",
    "fog/tasks/huge/sum/mallory/{}",
    "fog/tasks/light/sum/good/{}",
    "fog/tasks/light//mallory/{}",
    "fog/tasks",
    "fog/cancel/mallory/{}",
    "fog/cancel/good/{}",
    "fog/results/good/{}",
    "fog/nodes/fog-a/state",
    "fog/nodes/evil/state",
    "fog/nodes/evil/catalog",
    "fog/mesh/fog-a/tasks/light/sum/evil/{}",
    "fog/mesh/fog-a/tasks/heavy/nothing/evil/{}",
    "fog/mesh/fog-a/cancel/evil/{}",
    "fog/mesh/fog-a/results/{}",
    "fog/mesh/fog-a/tasks/light/sum/fog-a/{}",
    "$SYS/broker/uptime",
    "$share/g/a",
    "/",
    "a/" * 30 + "a",
    "\ufeff\U0001f4a3/\u202e",
)

FILTERS = (
    "#",
    "+/+/+",
    "fog/results/mallory/+",
    "fog/results/good/+",
    "$SYS/#",
    "$share/g/#",
    "a/" * 199 + "#",
)

PAYLOADS = (
    b"",
    b"[1,2]",
    b"[" * 2000,
    b'{"$deadline":-1}',
    b'{"$deadline":1e400,"$args":[1]}',
    b'{"$max_hops":99999999999999999999}',
    b'{"$reply":"fog/nodes/fog-a/state","$args":[1]}',
    b'{"$args":' + b'{"a":' * 200 + b"1" + b"}" * 201,
    b"[1e308,1e308]",
    b"[" + b"9" * 5000 + b"]",
    b"\xff\xfe\x00",
    b'"\\ud800"',
    b"null",
    b"\x00" * 4096,
)


def hand_offs(chance: random.Random) -> bytes:
    """A hand-off that lies, or is cut off."""
    whole = encode(
        HandOff(
            device=chance.choice(("good", "", "a/b", "x" * 300)),
            id=chance.choice(("1", "", "#")),
            payload=chance.choice(PAYLOADS),
            budget_ms=chance.choice((None, -1.0, 0.0, 1e300, 5.0)),
            route=tuple(chance.choices(("fog-a", "evil", ""), k=chance.choice((0, 1, 40)))),
            max_hops=chance.choice((None, 0, 16, 10**9, -5)),
        )
    )
    return whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole


def greetings(chance: random.Random, user: str | None, version: int) -> bytes:
    """A CONNECT that is in order, or nearly."""
    said = some(chance, WILLS)
    return connect_packet(
        chance.choice(("", f"c{chance.randrange(50)}")),
        clean=True,
        keepalive=chance.choice((0, 1, 60, 65535)),
        username=user,
        password=None if user is None else f"{user}-secret",
        will=chance.choice((None, None, Will("fog/nodes/fog-a/state", b"x", 1, True, said))),
        level=version,
        properties=some(chance, CONNECTS),
    )


def plain(chance: random.Random, version: int) -> bytes:
    """A packet in order, with what may be in it taken from all that is odd."""
    number = chance.randrange(1, 65536)
    match chance.randrange(8):
        case 0:
            return packet(PINGREQ)
        case 1:
            head = _head(number, version, some(chance, SUBSCRIBES))
            options = chance.randrange(3) | (chance.choice((0, 0x08, 0x10, 0x20)) if version == 5 else 0)
            return packet(SUBSCRIBE, head + text(chance.choice(FILTERS)) + bytes((options,)), flags=2)
        case 2:
            head = _head(number, version, some(chance, (USERS,)))
            return packet(UNSUBSCRIBE, head + text(chance.choice(FILTERS)), flags=2)
        case 3:
            kind = chance.choice((PUBACK, PUBREC, PUBREL, PUBCOMP))
            error = b"\x92" if kind in (PUBREL, PUBCOMP) else b"\x80"
            said = chance.choice((b"", error, b"\0" + sized(USERS))) if version == 5 else b""
            return packet(kind, number.to_bytes(2, "big") + said, flags=2 if kind == PUBREL else 0)
        case _:
            topic = chance.choice(TOPICS).format(chance.randrange(1000))
            payload = hand_offs(chance) if "mesh" in topic else chance.choice(PAYLOADS)
            return publish_packet(
                topic,
                payload,
                qos=chance.randrange(3),
                retain=chance.random() < 0.2,
                dup=False,
                packet_id=number,
                properties=some(chance, PUBLISHES) if version == 5 else None,
            )


def _head(number: int, version: int, properties: bytes) -> bytes:
    return number.to_bytes(2, "big") + (sized(properties) if version == 5 else b"")


def mutated(chance: random.Random, whole: bytes) -> bytes:
    """The same bytes with something wrong."""
    data = bytearray(whole)
    match chance.randrange(7):
        case 6:
            # Wrong for either version; that of MQTT 5 would read it so far.
            return chance.choice(
                (
                    publish_packet("a", b"", properties=chance.choice(WRONG)),
                    packet(SUBSCRIBE, b"\0\1" + sized(chance.choice(WRONG)) + text("a") + b"\0", flags=2),
                    packet(DISCONNECT, b"\x04" + sized(chance.choice(WRONG))),
                    packet(AUTH, b"\x18" + sized(chance.choice(WRONG))),
                )
            )
        case 5:
            wrong = chance.choice(("a/#/b", "+" * 200, "", "#/#", "$share//#"))
            return packet(SUBSCRIBE, b"\0\1" + text(wrong) + b"\0", flags=2)
        case 0:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case 1:
            del data[chance.randrange(len(data)) :]
        case 2:
            data.insert(chance.randrange(len(data) + 1), chance.randrange(256))
        case 3:
            # A length that announces up to 256 MB.
            data[1:2] = chance.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x01"))
        case _:
            data[0] = chance.randrange(256)
    return bytes(data)


def bursts(chance: random.Random, user: str | None, version: int) -> Iterator[tuple[bytes, int]]:
    """The writes of one session, each with how many packets are in it; the last ones are wrong."""
    stage = chance.randrange(6)
    if stage == 0:
        yield chance.randbytes(chance.randrange(1, 200)), 1
        return
    hello = greetings(chance, user, version)
    if stage == 1:
        yield mutated(chance, hello), 1
        return
    count = chance.randrange(1, 80)
    yield hello + b"".join(plain(chance, version) for _ in range(count)), count + 1
    for _ in range(chance.randrange(3)):
        whole = plain(chance, version)
        cut = chance.randrange(len(whole) + 1)
        yield whole[:cut], 0
        yield whole[cut:], 1
    good = [plain(chance, version) for _ in range(3)]
    yield mutated(chance, good[0]) + good[1] + mutated(chance, good[2]), 3


HANDSHAKE = (
    b"GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)


def framed(chance: random.Random, data: bytes) -> bytes:
    """The same bytes in a frame of a WebSocket, now and then with something wrong in it."""
    length = len(data)
    if length < 126:
        size = bytes((0x80 | length,))
    elif length < 65536:
        size = b"\xfe" + length.to_bytes(2, "big")
    else:
        size = b"\xff" + length.to_bytes(8, "big")
    # A mask of zeros leaves the bytes as they are.
    frame = b"\x82" + size + bytes(4) + data
    return mutated(chance, frame) if chance.random() < 0.1 else frame


def by_websocket(chance: random.Random, writes: Iterator[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
    """The same session over a WebSocket; the handshake too may be wrong."""
    yield (mutated(chance, HANDSHAKE) if chance.random() < 0.1 else HANDSHAKE), 0
    for data, count in writes:
        yield framed(chance, data), count
