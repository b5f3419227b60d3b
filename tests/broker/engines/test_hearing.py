"""What a node hears at each engine: under several filters, under others later, and what was retained."""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from broker.contract.address import Address
from broker.contract.engine import Engine
from broker.contract.message import Message
from broker.engines.amqtt.configuration import AmqttSettings
from broker.engines.amqtt.engine import AmqttEngine
from broker.engines.embedded import AllowAll, EmbeddedEngine, EmbeddedSettings, Login
from broker.engines.external import ExternalEngine
from broker.engines.memory import MemoryEngine
from broker.engines.mosquitto import MosquittoEngine, MosquittoSettings
from broker.namesakes import Namesakes
from broker.programs.pid_file import PidFile
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.mosquitto_clients import TIMEOUT, require

LOOPBACK = Address("127.0.0.1", 0)
MQTT_3 = "external, MQTT 3"
KINDS = ["memory", "embedded", "amqtt", "mosquitto", "external", "external, one copy", MQTT_3]
"""`external` is a client of a Mosquitto, which sends a copy for each filter; our own broker sends one."""


class Node:
    """Keeps what it hears; `make` makes the engine of its next life."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self.engine = make()
        self.heard: list[Message] = []

    async def start(self, *filters: str, retained: tuple[str, ...] = ()) -> None:
        await self.engine.start(self.heard.append, filters, retained)

    async def begin_anew(self, *filters: str) -> None:
        await self.engine.stop()
        self.engine = self._make()
        await self.start(*filters)

    async def publish(self, topic: str, payload: str, *options: str, at: int | None = None) -> None:
        """Publish as a device does, and return when the broker has it."""
        if isinstance(self.engine, MemoryEngine):
            self.engine.deliver(Message(topic=topic, payload=payload.encode(), qos=1, retain="-r" in options))
            return
        require("mosquitto_pub")
        port = at or int(self.engine.url.rpartition(":")[2])
        command = ["mosquitto_pub", "-p", str(port), "-t", topic, "-q", "1", *options]
        command += ["-m", payload] if payload else ["-n"]
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=TIMEOUT)

    def said(self) -> list[tuple[str, str]]:
        return [(one.topic, one.payload.decode()) for one in self.heard]

    async def hears(self, *messages: tuple[str, str]) -> None:
        """It hears these, in any order, and nothing else before a message under `end`."""
        await self.publish("end", "x")
        await eventually(lambda: ("end", "x") in self.said(), TIMEOUT)
        assert sorted(self.said()) == sorted([*messages, ("end", "x")])
        self.heard.clear()


@pytest.fixture
async def url(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Where the broker of an engine is that runs none."""
    if kind != "external, one copy":
        yield request.getfixturevalue("mosquitto").url if "external" in kind else ""
        return
    broker = EmbeddedEngine(EmbeddedSettings(listen=LOOPBACK))
    await broker.start(lambda _: None, ())
    yield broker.url
    await broker.stop()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def node(kind: str, url: str, tmp_path: Path) -> AsyncIterator[Node]:
    def make() -> Engine:
        match kind:
            case "memory":
                return MemoryEngine()
            case "embedded":
                return EmbeddedEngine(EmbeddedSettings(listen=LOOPBACK))
            case "amqtt":
                return AmqttEngine(AmqttSettings(listen=LOOPBACK))
            case "mosquitto":
                settings = MosquittoSettings(folder=tmp_path / "m", listen=LOOPBACK)
                return MosquittoEngine(settings, node="n", pid_file=PidFile(tmp_path / "pid"))
            case _:
                return ExternalEngine(
                    url,
                    node="n",
                    mqtt=3 if kind == MQTT_3 else None,
                    namesakes=Namesakes("n", 1),
                    known=tmp_path / "filters.json",
                )

    made = Node(make)
    yield made
    await made.engine.stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> object:
    with Mosquitto(tmp_path) as broker:
        yield broker


async def test_what_matches_several_filters_is_heard_once(node: Node) -> None:
    await node.start("fog/tasks/#", "home/#", "+/lamp/+", "home/lamp/power", "#", retained=("home/+/+",))
    for topic in ("home/lamp/power", "home/x", "fog/tasks/light/echo", "other"):
        await node.publish(topic, "1")
    await node.hears(
        *((topic, "1") for topic in ("home/lamp/power", "home/x", "fog/tasks/light/echo", "other"))
    )


async def test_other_filters_are_heard_from_then_on(node: Node) -> None:
    await node.start("end", "a/#", "b")
    await node.engine.hear(["end", "b", "c/+", "+/x"])
    for topic in ("a/1", "b", "c/x"):
        await node.publish(topic, "1")
    await node.hears(("b", "1"), ("c/x", "1"))


async def test_what_was_retained_is_heard_where_it_is_wanted(node: Node) -> None:
    """Once, and told from what is published to be retained now."""
    await node.start("end", "a/+", "b/+", "a/2")
    for topic in ("a/1", "b/1", "c/1", "fog/nodes/x/y"):
        await node.publish(topic, "old", "-r")
    await node.hears(("a/1", "old"), ("b/1", "old"))
    wanted = ("end", "a/+", "b/+", "+/1", "fog/nodes/#")
    await node.engine.hear(wanted, retained=("a/+", "+/1"))
    await eventually(lambda: {one.topic for one in node.heard} == {"a/1", "b/1", "c/1"}, TIMEOUT)
    assert all(one.replayed and one.payload == b"old" for one in node.heard)
    node.heard.clear()
    await node.engine.hear((*wanted, "d"), retained=("a/+", "+/1", "d"))
    await node.publish("a/1", "new", "-r")
    await eventually(lambda: node.heard)
    assert not node.heard[0].replayed
    await node.hears(("a/1", "new"))


# Before MQTT 5 nobody is told that the message has the flag.
@pytest.mark.parametrize("kind", [one for one in KINDS if one != MQTT_3])
async def test_clearing_what_is_retained_is_no_message(node: Node) -> None:
    await node.start("end", "a")
    await node.publish("a", "on", "-r")
    await node.publish("a", "", "-r")
    await node.hears(("a", "on"))


async def test_an_engine_that_echoes_hands_back_what_the_node_says(node: Node) -> None:
    await node.start("end", "mine")
    node.engine.publish(Message(topic="mine", payload=b"1", qos=1))
    await node.hears(*[("mine", "1")] * node.engine.echoes)


@pytest.mark.parametrize("kind", [one for one in KINDS if "external" in one])
async def test_a_later_life_gives_up_what_it_does_not_want(node: Node) -> None:
    """A broker that keeps the session would keep all of it for the node."""
    port = int(node.engine.url.rpartition(":")[2])
    await node.start("end", "a/#", "b")
    await node.begin_anew("end", "b")
    await node.engine.stop()
    for topic in ("a/1", "b"):
        await node.publish(topic, "meanwhile", at=port)
    await node.begin_anew("end", "a/#", "b")
    await node.hears(("b", "meanwhile"))


class Strict(AllowAll):
    """Lets nobody read a secret."""

    def may_subscribe(self, _login: Login, filter: str, /) -> bool:
        return filter != "secret/#"


async def test_a_filter_that_the_broker_refuses_is_trouble_and_the_others_are_heard() -> None:
    broker = EmbeddedEngine(EmbeddedSettings(listen=LOOPBACK), Strict())
    await broker.start(lambda _: None, ())
    node = Node(lambda: ExternalEngine(broker.url, node="n"))
    try:
        await node.start("end", "secret/#")
        assert node.engine.trouble == (
            "the broker refuses the subscription to secret/#: see what its rules let this node read",
        )
        await node.publish("secret/1", "x", at=int(broker.url.rpartition(":")[2]))
        await node.hears()
        await node.engine.hear(["end"])
        assert not node.engine.trouble
    finally:
        await node.engine.stop()
        await broker.stop()


@pytest.mark.parametrize("kind", ["external", "external, one copy"])
async def test_gateways_that_share_filters_share_each_message_once(url: str) -> None:
    """Also under filters that have topics in common: a broker may give a copy of each to another one.

    What one of them hears under a filter of its own, each hears.
    """
    filters = [
        "$share/cloud/fog/tasks/#",
        "$share/cloud/home/#",
        "$share/cloud/+/lamp",
        "home/lamp/off",
        "end",
    ]
    gateways = [
        Node(lambda: ExternalEngine(url, node=secrets.token_hex(4), persistent=False)) for _ in range(2)
    ]
    try:
        for one in gateways:
            await one.start(*filters)
        port = int(url.rpartition(":")[2])
        for number in range(20):
            await gateways[0].publish("home/lamp", str(number), at=port)
        await gateways[0].publish("home/lamp/off", "x", at=port)
        await gateways[0].publish("end", "x", at=port)
        await eventually(lambda: all(("end", "x") in one.said() for one in gateways), TIMEOUT)
        heard = [message for one in gateways for message in one.said()]
        assert sorted(payload for topic, payload in heard if topic == "home/lamp") == sorted(
            map(str, range(20))
        )
        assert heard.count(("home/lamp/off", "x")) == 2
    finally:
        for one in gateways:
            await one.engine.stop()
