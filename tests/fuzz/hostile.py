"""Hostile and wrong inputs by name, each done to a running node, with what it got."""
# a table is read best with one case a line

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from broker.contract.messages import HandOff, encode
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    CONNECT,
    PINGREQ,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    Closed,
    RawClient,
    Will,
    connect_packet,
    packet,
    publish_packet,
    text,
)

Act = Callable[[RawClient], Awaitable[str]]


@dataclass(frozen=True)
class Case:
    """One input, and what it has to get."""

    name: str
    act: Act
    expected: str


CLOSED = "closed"
IGNORED = "acknowledged, goes nowhere"
DENIED = "refused, 0x80"
NOT_IN = "refused, CONNACK 4"
QUIET = "waited for, then closed"


async def outcome_of(client: RawClient) -> str:
    """What the node did with a connection."""
    try:
        found = await client.receive(8)
    except Closed:
        return CLOSED
    except TimeoutError:
        return "left open"
    if found.kind == CONNACK and found.body[1]:
        return f"refused, CONNACK {found.body[1]}"
    return f"answered by packet type {found.kind}"


def raw(data: bytes) -> Act:
    """Bytes on a fresh connection."""

    async def act(client: RawClient) -> str:
        client.send(data)
        return await outcome_of(client)

    return act


def inside(data: bytes, user: str = "mallory") -> Act:
    """Bytes after having logged in."""

    async def act(client: RawClient) -> str:
        await log_in(client, user)
        client.send(data)
        return await outcome_of(client)

    return act


def denied_publish(topic: str, payload: bytes = b"[1]", user: str = "mallory") -> Act:
    """A publish that goes nowhere: it is acknowledged, and nothing else comes."""

    async def act(client: RawClient) -> str:
        await log_in(client, user)
        client.send(publish_packet(topic, payload, qos=1, retain=True, packet_id=7))
        found = await client.receive(8)
        if found.kind != PUBACK:
            return f"answered by packet type {found.kind}"
        return IGNORED if await client.ping() == [] else "something came"

    return act


def denied_subscription(filter: str, user: str = "mallory") -> Act:
    """A subscription to what is somebody else's."""

    async def act(client: RawClient) -> str:
        await log_in(client, user)
        client.send(packet(SUBSCRIBE, b"\0\1" + text(filter) + b"\1", flags=2))
        found = await client.receive(8)
        return DENIED if (found.kind, found.body[2:]) == (SUBACK, b"\x80") else "granted"

    return act


def error_of(topic: str, payload: bytes) -> Act:
    """A submission that is answered with an error; the code is what it got."""

    async def act(client: RawClient) -> str:
        await log_in(client, "mallory")
        await client.subscribe(("fog/results/mallory/+", 1))
        client.send(publish_packet(topic, payload, qos=1, packet_id=9))
        async with asyncio.timeout(20):
            while (found := await client.receive(20)).kind != PUBLISH:
                pass
        client.acknowledge(found)
        body = client.read_publish(found).payload
        return body.partition(b'"code":"')[2].partition(b'"')[0].decode() or "a value"

    return act


async def log_in(client: RawClient, user: str) -> None:
    """Be let in."""
    client.send(connect_packet("", username=user, password=f"{user}-secret"))
    found = await client.receive(20)
    assert (found.kind, found.body) == (CONNACK, b"\0\0"), found


async def slow_loris(client: RawClient) -> str:
    """One byte of a CONNECT at a time."""
    for byte in connect_packet("slow", username="mallory", password="mallory-secret"):
        client.send(bytes((byte,)))
        try:
            await client.receive(0.5)
        except Closed:
            return CLOSED
        except TimeoutError:
            continue
    return "let in"


def task(payload: bytes, name: str = "sum", device: str = "mallory") -> Act:
    """A submission of a payload."""
    return error_of(f"fog/tasks/light/{name}/{device}/x", payload)


def _hand_off(**more: object) -> bytes:
    fields = {
        "device": "good",
        "id": "1",
        "payload": b"[1]",
        "budget_ms": None,
        "route": (),
        "max_hops": None,
    }
    return encode(HandOff(**{**fields, **more}))  # type: ignore[arg-type]


_HUGE = b"\xff\xff\xff\x7f"
_MESH = "fog/mesh/fog-a/tasks/light/sum"

CASES = (
    Case("random bytes instead of CONNECT", raw(b"\xde\xad\xbe\xef" * 50), CLOSED),
    Case("an HTTP request", raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), CLOSED),
    Case(
        "a TLS greeting on the plain port",
        raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 99),
        CLOSED,
    ),
    Case("PUBLISH before CONNECT", raw(publish_packet("a", b"x")), CLOSED),
    Case("PINGREQ before CONNECT", raw(packet(PINGREQ)), CLOSED),
    Case("silence", raw(b""), CLOSED),
    Case("half a CONNECT, then silence", raw(connect_packet("half")[:9]), CLOSED),
    Case("CONNECT one byte each half second", slow_loris, CLOSED),
    Case("CONNECT announcing 256 MB", raw(b"\x10" + _HUGE), CLOSED),
    Case("CONNECT with a five-byte length", raw(b"\x10\xff\xff\xff\xff\x7f"), CLOSED),
    Case(
        "CONNECT with a reserved flag",
        raw(packet(CONNECT, text("MQTT") + b"\x04\x03\0\x3c" + text("a"))),
        CLOSED,
    ),
    Case("CONNECT of protocol MQTX", raw(connect_packet("a", name="MQTX")), CLOSED),
    Case("CONNECT of level 9", raw(connect_packet("a", level=9)), "refused, CONNACK 1"),
    Case(
        "CONNECT with a client id that is not UTF-8",
        raw(packet(CONNECT, text("MQTT") + b"\x04\x02\0\x3c\0\x02\xff\xfe")),
        CLOSED,
    ),
    Case("a will to an invalid topic", raw(connect_packet("a", will=Will("a/#", b"x"))), CLOSED),
    Case("no user", raw(connect_packet("a")), NOT_IN),
    Case("an unknown user", raw(connect_packet("a", username="root", password="root")), NOT_IN),
    Case("a wrong password", raw(connect_packet("a", username="good", password="guess")), NOT_IN),
    Case("a password of 60 kB", raw(connect_packet("a", username="good", password="x" * 60_000)), NOT_IN),
    Case("a second CONNECT", inside(connect_packet("again")), CLOSED),
    Case("PUBLISH announcing 256 MB", inside(b"\x30" + _HUGE), CLOSED),
    Case("PUBLISH with QoS 3", inside(b"\x36\x05\x00\x01a\x00\x01"), CLOSED),
    Case("PUBLISH to a filter", inside(publish_packet("a/#", b"x")), CLOSED),
    Case("PUBLISH to an empty topic", inside(publish_packet("", b"x")), CLOSED),
    Case("PUBLISH with packet identifier 0", inside(publish_packet("a", b"x", qos=1, packet_id=0)), CLOSED),
    Case("PUBLISH to a topic with U+0000", inside(publish_packet("a\0b", b"x")), CLOSED),
    Case("PUBLISH to a topic of 60 kB", inside(publish_packet("a" * 60_000, b"x")), CLOSED),
    Case("PUBLISH to a topic of 150 levels", inside(publish_packet("a/" * 150, b"x")), CLOSED),
    Case("SUBSCRIBE without filters", inside(packet(SUBSCRIBE, b"\0\1", flags=2)), CLOSED),
    Case("SUBSCRIBE with QoS 7", inside(packet(SUBSCRIBE, b"\0\1" + text("a") + b"\7", flags=2)), CLOSED),
    Case("a reserved packet type", inside(b"\xf0\x00"), CLOSED),
    Case("a CONNACK from the client", inside(packet(CONNACK, b"\0\0")), CLOSED),
    Case("a device reads everything", denied_subscription("#"), DENIED),
    Case("a device reads another's results", denied_subscription("fog/results/good/+"), DENIED),
    Case("a device reads everything by a shared group", denied_subscription("$share/g/#"), DENIED),
    Case("a device reads the mesh", denied_subscription("fog/mesh/#"), DENIED),
    Case("a device submits as another", denied_publish("fog/tasks/light/sum/good/1"), IGNORED),
    Case("a device cancels another's task", denied_publish("fog/cancel/good/1"), IGNORED),
    Case("a device forges an outcome", denied_publish("fog/results/good/1"), IGNORED),
    Case("a device forges a node's state", denied_publish("fog/nodes/fog-a/state", b"{}"), IGNORED),
    Case("a device hands a task over", denied_publish(f"{_MESH}/mallory/1", _hand_off()), IGNORED),
    Case(
        "a node hands over under another's name",
        denied_publish(f"{_MESH}/fog-x/1", _hand_off(), "evil"),
        IGNORED,
    ),
    Case("a node forges another's catalog", denied_publish("fog/nodes/fog-a/catalog", b"[", "evil"), IGNORED),
    Case(
        "a hand-off that is not MessagePack", denied_publish(f"{_MESH}/evil/2", b"\xc1" * 99, "evil"), IGNORED
    ),
    Case("a hand-off cut off", denied_publish(f"{_MESH}/evil/3", _hand_off()[:5], "evil"), IGNORED),
    Case(
        "a neighbour's state that is no JSON",
        denied_publish("fog/nodes/evil/state", b"\xff" * 999, "evil"),
        IGNORED,
    ),
    Case(
        "an outcome for a task never handed over",
        denied_publish("fog/mesh/fog-a/results/1", b'{"ok":true}', "evil"),
        IGNORED,
    ),
    Case("a payload that is not JSON", task(b"one"), "bad-payload"),
    Case("5,000 nested arrays", task(b"[" * 5000), "bad-payload"),
    Case("half a character", task(b'"\\ud800"', "echo"), "bad-payload"),
    Case("an unknown option", task(b'{"$run":"rm"}'), "bad-payload"),
    Case("outcome to a foreign topic", task(b'{"$reply":"fog/results/good/1","$args":[1]}'), "bad-payload"),
    Case("a pickle as payload", task(b"\x80\x04cos\nsystem\n(S'id'\ntR."), "bad-payload"),
    Case("an unknown task", task(b"[1]", "os.system"), "unknown-task"),
    Case("text for numbers", task(b'["one"]'), "bad-arguments"),
    Case("a payload of 150 kB where 100 kB are taken", task(b"[" + b"1," * 75_000 + b"1]"), "too-large"),
)
