"""One broker of the two that are told the same, and what its clients see."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PUBLISH,
    Arrived,
    Place,
    RawClient,
    Will,
    connect_packet,
)
from tests.broker.engines.embedded.raw_properties import (
    ALIAS,
    ALIAS_MAXIMUM,
    MAXIMUM_PACKET,
    MESSAGE_EXPIRY,
    SESSION_EXPIRY,
    SUBSCRIPTION_ID,
    WILL_DELAY,
    Value,
    prop,
    props,
)

NAMES = ("one", "two", "three")
TOPICS = ("a", "a/b", "a/b/c", "b", "b/b")
LONG = 1000
"""Seconds in which no sequence comes to its end."""


@dataclass(frozen=True)
class Greeting:
    """How a client connects. All but `clean` is for MQTT 5 alone; what is 0 is not said."""

    version: int = 4
    clean: bool = False
    expiry: int = 0
    aliases: int = 0
    largest: int = 0
    will_delay: int = 0
    will_says: bytes = b""

    @property
    def waits_with_its_will(self) -> bool:
        """Whether the end of the connection is not yet that of the session, and of the will's delay.

        Where it is, Mosquitto waits for the delay all the same (MQTT-3.1.2-8): a delay is not said then.
        """
        return bool(self.expiry and self.will_delay)

    def packet(self, client_id: str, will_topic: str) -> bytes:
        said = ((SESSION_EXPIRY, self.expiry), (ALIAS_MAXIMUM, self.aliases), (MAXIMUM_PACKET, self.largest))
        delay = prop(WILL_DELAY, self.will_delay) if self.waits_with_its_will else b""
        return connect_packet(
            client_id,
            clean=self.clean,
            level=self.version,
            will=Will(will_topic, b"gone", qos=1, properties=delay + self.will_says),
            properties=b"".join(prop(kind, value) for kind, value in said if value),
        )


class Seen(NamedTuple):
    """A message, without what two brokers may do each in its own way."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    subscription_ids: tuple[int, ...]
    passed: tuple[tuple[int, Value], ...]


def as_one(copies: Iterable[Seen]) -> list[Seen]:
    """Make one of the copies that stand side by side.

    Where filters overlap, Mosquitto sends to a client of MQTT 5 a copy for each, and we send one with all
    identifiers; a broker may do either (MQTT-3.3.4-2, MQTT-3.3.4-3).
    """
    found = []
    for _, equal in groupby(copies, lambda one: (one.topic, one.payload, one.dup, one.passed)):
        same = list(equal)
        found.append(
            same[0]._replace(
                qos=max(one.qos for one in same),
                retain=any(one.retain for one in same),
                subscription_ids=tuple(sorted(number for one in same for number in one.subscription_ids)),
            )
        )
    return found


@dataclass
class Connected:
    """A client, with the topics that numbers stand for on its connection."""

    client: RawClient
    said: dict[int, str] = field(default_factory=dict)
    heard: dict[int, str] = field(default_factory=dict)


@dataclass
class Side:
    """One broker, as the clients of one sequence see it; `copies` says that it is Mosquitto."""

    place: Place
    prefix: str
    copies: bool
    clients: dict[str, Connected] = field(default_factory=dict)
    unread: dict[str, list[Arrived]] = field(default_factory=dict)

    async def begin(self) -> None:
        """Connect the one who hears the wills: so that a drop is known to have been noticed."""
        self.observer = Connected(await self.place.connect(level=5))
        await self.observer.client.subscribe((f"{self.prefix}-will/+", 1))

    async def connect(self, name: str, greeting: Greeting) -> tuple[bytes, list[Seen]]:
        """Say whether there was a session, and what wills came.

        But not what came of the will of a connection of MQTT 5 that was taken over: it is due unless it has
        a delay and the session goes on (MQTT-3.1.2-8), and Mosquitto lets the session alone decide.
        """
        client = await self.place.open()
        client.mqtt5 = greeting.version == 5
        client.send(greeting.packet(f"{self.prefix}-{name}", f"{self.prefix}-will/{name}"))
        answer = await client.expect(CONNACK)
        old = self.clients.pop(name, None)
        if old is not None:
            assert await old.client.closed()
            old.client.drop()
        self.clients[name] = Connected(client)
        wills = await self._wills()
        return answer.body[:2], [] if old is not None and old.client.mqtt5 else wills

    async def drop(self, name: str) -> Seen:
        """Break off, and wait for the will."""
        self.clients.pop(name).client.drop()
        observer = self.observer.client
        message = await observer.expect(PUBLISH)
        observer.acknowledge(message)
        return self._seen(self.observer, observer.read_publish(message))

    async def come_back(self, name: str, greeting: Greeting) -> tuple[bytes, list[Seen]]:
        """Break off and connect at once, whether the broker has noticed or not."""
        self.clients.pop(name).client.drop()
        return await self.connect(name, greeting)

    async def disconnect(self, name: str, body: bytes) -> list[Seen]:
        await self.clients.pop(name).client.disconnect(body)
        return await self._wills()

    async def subscribe(self, name: str, filters: list[tuple[str, int]], number: int) -> list[int]:
        wanted = [(f"{self.prefix}/{one}", options) for one, options in filters]
        said = prop(SUBSCRIPTION_ID, number) if number else b""
        return await self.clients[name].client.subscribe(*wanted, properties=said)

    async def unsubscribe(self, name: str, wanted: str) -> list[int]:
        """The answer is waited for among what else arrives, so that nothing is lost."""
        client = self.clients[name].client
        early = await client.pending()
        self.unread.setdefault(name, []).extend(early)
        return await client.unsubscribe(f"{self.prefix}/{wanted}")

    async def publish(
        self, name: str, topic: str, payload: bytes, *, qos: int, retain: bool, alias: int, properties: bytes
    ) -> None:
        """With an alias, the topic is told only where that is new."""
        here, whole = self.clients[name], f"{self.prefix}/{topic}"
        said = whole
        if alias:
            properties += prop(ALIAS, alias)
            said = "" if here.said.get(alias) == whole else whole
            here.said[alias] = whole
        await here.client.publish(said, payload, qos=qos, retain=retain, properties=properties)

    async def read(
        self, name: str, *, acknowledge: bool, subscribed: bool = False
    ) -> tuple[list[Seen], list[Seen]]:
        """What came, in order; messages with RETAIN, whose order is free, sorted.

        One who has `subscribed` gets what was retained for each of the filters.
        """
        here = self.clients[name]
        arrived = self.unread.pop(name, []) + await here.client.pending(acknowledge=acknowledge)
        found = [self._seen(here, one) for one in arrived]
        # Empty ones have no number: those of two that stand side by side may be two.
        if not subscribed and (self.copies or not all(one.payload for one in found)):
            found = as_one(found)
        live = [one for one in found if not one.retain]
        return live, sorted(one for one in found if one.retain)

    async def end(self) -> None:
        """Leave nothing behind."""
        for name in NAMES:
            client = await self.place.connect(f"{self.prefix}-{name}")
            await client.disconnect()
        for topic in TOPICS:
            await self.observer.client.publish(f"{self.prefix}/{topic}", b"", qos=1, retain=True)
        await self.observer.client.disconnect()

    async def _wills(self) -> list[Seen]:
        return [self._seen(self.observer, one) for one in await self.observer.client.pending()]

    def _seen(self, here: Connected, one: Arrived) -> Seen:
        topic, ids = one.topic, list[int]()
        passed: list[tuple[int, Value]] = []
        for kind, value in props(one.properties):
            match kind, value:
                case (k, int(alias)) if k == ALIAS:
                    topic = here.heard[alias] = topic or here.heard[alias]
                case (k, int(number)) if k == SUBSCRIPTION_ID:
                    ids.append(number)
                case (k, int(left)) if k == MESSAGE_EXPIRY:
                    # What is left of it, which a second of a busy machine may change.
                    passed.append((kind, LONG if 0 < left <= LONG else left))
                case _:
                    passed.append((kind, value))
        # Only user properties have an order (MQTT-3.3.2-18); sorting by the kind leaves it to them.
        passed.sort(key=lambda each: each[0])
        relative = topic.removeprefix(self.prefix)
        flags = (one.qos, one.retain, one.dup)
        return Seen(relative, one.payload, *flags, tuple(sorted(ids)), tuple(passed))
