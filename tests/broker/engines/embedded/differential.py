"""One random session told to two brokers at once; whatever they answer has to be the same."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PUBLISH,
    Arrived,
    Place,
    RawClient,
    Will,
    connect_packet,
)

NAMES = ("one", "two", "three")
TOPICS = ("a", "a/b", "a/b/c", "b", "b/b")
FILTERS = ("#", "+", "a/#", "+/b", "a/b", "b/#", "a/+/c", "b")
QOS = st.integers(0, 2)

Result = TypeVar("Result")


@dataclass
class Side:
    """One broker, as the clients of one sequence see it."""

    place: Place
    prefix: str
    clients: dict[str, RawClient] = field(default_factory=dict)
    unread: dict[str, list[Arrived]] = field(default_factory=dict)

    async def begin(self) -> None:
        """Connect the one who hears the wills: so that a drop is known to have been noticed."""
        self.observer = await self.place.connect()
        await self.observer.subscribe((f"{self.prefix}-will/+", 1))

    async def connect(self, name: str, *, clean: bool) -> tuple[bytes, list[Arrived]]:
        client = await self.place.open()
        will = Will(f"{self.prefix}-will/{name}", b"gone", qos=1)
        client.send(connect_packet(f"{self.prefix}-{name}", clean=clean, will=will))
        answer = await client.expect(CONNACK)
        old = self.clients.pop(name, None)
        if old is not None:
            assert await old.closed()
            old.drop()
        self.clients[name] = client
        return answer.body, await self.observer.pending()

    async def drop(self, name: str) -> Arrived:
        self.clients.pop(name).drop()
        message = await self.observer.expect(PUBLISH)
        self.observer.acknowledge(message)
        return self.observer.read_publish(message)

    async def disconnect(self, name: str) -> list[Arrived]:
        await self.clients.pop(name).disconnect()
        return await self.observer.pending()

    async def subscribe(self, name: str, filters: list[tuple[str, int]]) -> list[int]:
        wanted = [(f"{self.prefix}/{one}", qos) for one, qos in filters]
        return await self.clients[name].subscribe(*wanted)

    async def unsubscribe(self, name: str, wanted: str) -> None:
        """The answer is waited for among what else arrives, so that nothing is lost."""
        client = self.clients[name]
        early = await client.pending()
        self.unread.setdefault(name, []).extend(early)
        await client.unsubscribe(f"{self.prefix}/{wanted}")

    async def publish(self, name: str, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        await self.clients[name].publish(f"{self.prefix}/{topic}", payload, qos=qos, retain=retain)

    async def read(self, name: str, *, acknowledge: bool) -> tuple[list[Arrived], list[Arrived]]:
        """What came, in order; retained messages, whose order is free, sorted."""
        found = self.unread.pop(name, []) + await self.clients[name].pending(acknowledge=acknowledge)
        live = [self._relative(one) for one in found if not one.retain]
        return live, sorted(self._relative(one) for one in found if one.retain)

    async def end(self) -> None:
        """Leave nothing behind."""
        for name in NAMES:
            client = await self.place.connect(f"{self.prefix}-{name}")
            await client.disconnect()
        for topic in TOPICS:
            await self.observer.publish(f"{self.prefix}/{topic}", b"", qos=1, retain=True)
        await self.observer.disconnect()

    def _relative(self, one: Arrived) -> Arrived:
        return Arrived(one.topic.removeprefix(self.prefix), one.payload, one.qos, one.retain, one.dup)


class Differential(RuleBasedStateMachine):
    """Connects, subscribes, publishes, drops and reconnects at both brokers alike."""

    sequences = 0

    def __init__(self, runner: asyncio.Runner, ours: Place, theirs: Place) -> None:
        super().__init__()
        self._runner = runner
        Differential.sequences += 1
        prefix = f"s{Differential.sequences}"
        self._sides = (Side(ours, prefix), Side(theirs, prefix))
        self._count = 0

    @property
    def connected(self) -> list[str]:
        return sorted(self._sides[0].clients)

    @initialize(granted=st.tuples(QOS, QOS, QOS))
    def begin(self, granted: tuple[int, int, int]) -> None:
        """Each client subscribes with one QoS.

        Of overlapping filters the highest counts (MQTT 3.1.1, 3.3.5), and so it does with us;
        Mosquitto 2.0 takes that of whichever filter it finds first.
        """
        self._granted = dict(zip(NAMES, granted, strict=True))
        self._both(lambda side: side.begin())
        # Everybody listens from the beginning: most of what is left to chance would pass unheard else.
        for name in NAMES:
            self.connect(name, clean=False)
            self._subscribe(name, ["#"])

    @rule(name=st.sampled_from(NAMES), clean=st.sampled_from([False, False, True]))
    def connect(self, name: str, *, clean: bool) -> None:
        """Also where it is connected: it takes itself over."""
        if name in self.connected:
            self._read(name, acknowledge=True)
        self._both(lambda side: side.connect(name, clean=clean))

    @precondition(lambda self: self.connected)
    @rule(data=st.data(), filters=st.lists(st.sampled_from(FILTERS), min_size=1, max_size=3))
    def subscribe(self, data: st.DataObject, filters: list[str]) -> None:
        self._subscribe(self._somebody(data), filters)

    def _subscribe(self, name: str, filters: list[str]) -> None:
        self._read(name, acknowledge=True)
        wanted = [(one, self._granted[name]) for one in filters]
        self._both(lambda side: side.subscribe(name, wanted))
        self._read(name, acknowledge=True)

    @precondition(lambda self: self.connected)
    @rule(data=st.data(), wanted=st.sampled_from(FILTERS))
    def unsubscribe(self, data: st.DataObject, wanted: str) -> None:
        name = self._somebody(data)
        self._both(lambda side: side.unsubscribe(name, wanted))

    @precondition(lambda self: self.connected)
    @rule(
        data=st.data(),
        topic=st.sampled_from(TOPICS),
        qos=QOS,
        retain=st.booleans(),
        empty=st.sampled_from([False, False, False, True]),
    )
    def publish(self, data: st.DataObject, topic: str, qos: int, *, retain: bool, empty: bool) -> None:
        name = self._somebody(data)
        self._count += 1
        payload = b"" if empty else b"%d" % self._count
        self._both(lambda side: side.publish(name, topic, payload, qos=qos, retain=retain))

    @precondition(lambda self: self.connected)
    @rule(data=st.data(), acknowledge=st.booleans())
    def drop(self, data: st.DataObject, *, acknowledge: bool) -> None:
        """After what came was read, acknowledged or not; its own last message is among that."""
        name = self._somebody(data)
        self._count += 1
        payload = b"%d" % self._count
        self._both(lambda side: side.publish(name, "a", payload, qos=2, retain=False))
        self._read(name, acknowledge=acknowledge)
        self._both(lambda side: side.drop(name))

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        name = self._somebody(data)
        self._read(name, acknowledge=True)
        self._both(lambda side: side.disconnect(name))

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        self._read(self._somebody(data), acknowledge=True)

    def teardown(self) -> None:
        for name in self.connected:
            self._read(name, acknowledge=True)
        self._both(lambda side: side.end())

    def _read(self, name: str, *, acknowledge: bool) -> None:
        self._both(lambda side: side.read(name, acknowledge=acknowledge))

    def _somebody(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self.connected), label="client")

    def _both(self, step: Callable[[Side], Awaitable[Result]]) -> None:
        async def run() -> tuple[Result, Result]:
            ours, theirs = self._sides
            return await asyncio.gather(step(ours), step(theirs))

        ours, theirs = self._runner.run(run())
        assert ours == theirs, f"ours {ours}, Mosquitto's {theirs}"
