"""The engine for a broker elsewhere, by URL: Mosquitto, EMQX, HiveMQ or any other.

The node is a client of it, with a persistent session unless told otherwise, and acknowledges a task
to it only after its receiver has stored it. MQTT 5 is used where the broker speaks it. The broker does
not tell who published, so `client_id` stays unknown.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from broker.client import BusClient, ClientSettings, Subscriptions
from broker.contract.engine import Engine, Receiver
from broker.contract.filters import FilterSet, unshared
from broker.contract.message import Message
from broker.contract.mqtt_version import MqttVersion
from broker.contract.refusal import Taken
from broker.contract.topics import is_for_once
from broker.engines.ghosts import FORGOTTEN_AFTER, NODES_FILTERS, ghosts, is_of_a_node
from broker.engines.known_filters import KnownFilters
from broker.engines.sole_gateway import SoleGateway
from broker.engines.stand_by import StandBy
from broker.errors import EngineUnavailable, LinkFull
from broker.namesakes import Namesakes

MOST_HEARD = 20_000
"""Topics of nodes that are kept in mind: whoever may publish there could make up more."""

log = structlog.get_logger()

SESSION_EXPIRY = 7 * 24 * 3600
"""Seconds for which a broker keeps for a node that is away what devices publish: as long as a node's own
Mosquitto does. Brokers without MQTT 5 have a time of their own."""


class ExternalEngine(Engine):
    """A node's connection to a broker that runs by itself; `client` is the connection.

    With `namesakes` it leaves the work to a newer node of this one's name, and clears what the broker keeps
    of nodes that it has not heard for `forgotten_after` seconds. A `sole` gateway shares nothing with others,
    and says so where it hears one. `known` is a file for what the broker keeps with the node's session.
    """

    def __init__(
        self,
        url: str,
        *,
        node: str,
        will: Message | None = None,
        settings: ClientSettings | None = None,
        persistent: bool = True,
        mqtt: MqttVersion | None = None,
        connect_timeout: float = 10.0,
        namesakes: Namesakes | None = None,
        forgotten_after: float = FORGOTTEN_AFTER,
        sole: SoleGateway | None = None,
        known: Path | None = None,
    ) -> None:
        self._connect_timeout = connect_timeout
        own = ClientSettings(
            client_id=f"fog-node-{node}",
            mqtt=mqtt,
            live=True,
            will=will,
            persistent=persistent,
            session_expiry=SESSION_EXPIRY,
        )
        self._settings = settings or own
        if namesakes is not None:
            self._settings = replace(self._settings, kept=NODES_FILTERS)
        self.client = BusClient(url, self._settings)
        self._namesakes = namesakes
        self._forgotten_after = forgotten_after
        self._sole = sole
        self._known = KnownFilters(known if self._settings.persistent else None)
        self._wanted = FilterSet(())
        self._heard: dict[str, float] = {}
        self._subscriptions = Subscriptions(self._settings, ())
        self._watching: list[asyncio.Task[NoReturn]] = []

    async def start(self, receiver: Receiver, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        receiver = partial(self._take, receiver)
        self._subscriptions = subscriptions = Subscriptions(
            self._settings,
            self._heard_with(filters),
            retained,
            known=self._known.load(),
            keep=self._known.keep,
        )
        if self._namesakes is not None:
            stand_by = StandBy(self.client, self._settings, subscriptions, self._namesakes)
            receiver = partial(self._sort, receiver, stand_by)
            self._watching = [
                asyncio.create_task(stand_by.run(), name="stand by"),
                asyncio.create_task(self._forget_nodes(), name="forget nodes"),
            ]
        self.client.start(receiver, subscriptions)
        await self.client.wait_connected(self._connect_timeout)

    async def hear(self, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        self._subscriptions.hear(self._heard_with(filters), retained)
        await self.client.tell()

    def _heard_with(self, filters: Sequence[str]) -> tuple[str, ...]:
        """What is to be heard beside what the node wants, which is noted."""
        self._wanted = FilterSet(map(unshared, filters))
        return (*filters, *(() if self._namesakes is None else NODES_FILTERS))

    async def pause(self) -> None:
        await self.client.take_no_more()

    async def stop(self) -> None:
        watching, self._watching = self._watching, []
        for one in watching:
            one.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await one
        await self.client.stop()

    def publish(self, message: Message) -> asyncio.Future[None] | None:
        try:
            taken = self.client.publish(message)
        except LinkFull as fault:
            raise EngineUnavailable(str(fault)) from fault
        return taken if message.qos else None

    def _take(self, receiver: Receiver, message: Message) -> Taken:
        # A session may bring what an earlier life wanted.
        if not self._wanted.matches(message.topic):
            return None
        # What begins with $ is the broker's own to keep.
        if not message.retain or message.topic.startswith("$"):
            return receiver(message)
        if not message.payload:
            # It clears what the broker has kept, and that may be our own doing.
            return None
        if is_for_once(message.topic):
            self._clear(message.topic)
        return receiver(msgspec.structs.replace(message, retain=False))

    def _clear(self, topic: str) -> None:
        """Have the broker keep nothing under a topic: orders are for once."""

        def cleared(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and done.exception() is not None:
                log.warning("retained_not_cleared", topic=topic, reason=str(done.exception()))

        try:
            self.client.publish(Message(topic=topic, payload=b"", qos=1, retain=True)).add_done_callback(
                cleared
            )
        except LinkFull as fault:
            log.warning("retained_not_cleared", topic=topic, reason=str(fault))

    @property
    def url(self) -> str:
        return f"mqtt://{self.client.url.place}"

    @property
    def echoes(self) -> bool:
        return True

    @property
    def connected(self) -> bool:
        return self.client.connected

    @property
    def trouble(self) -> tuple[str, ...]:
        refused = (
            f"the broker refuses the subscription to {one}: see what its rules let this node read"
            for one in sorted(self._subscriptions.refused)
        )
        return (*refused, *(() if self._sole is None else self._sole.trouble(time.monotonic())))

    def _sort(self, receiver: Receiver, stand_by: StandBy, message: Message) -> Taken:
        """Hand over what is for the node, and hear what nodes say of themselves."""
        if is_of_a_node(message.topic):
            self._hear_node(stand_by, message, time.monotonic())
        return receiver(message)

    def _hear_node(self, stand_by: StandBy, message: Message, now: float) -> None:
        if not message.payload:
            self._heard.pop(message.topic, None)
        elif message.topic in self._heard or len(self._heard) < MOST_HEARD:
            self._heard[message.topic] = now
        stand_by.hear(message, now)
        if self._sole is not None:
            self._sole.hear(message, now)

    async def _forget_nodes(self) -> NoReturn:
        while True:
            await asyncio.sleep(self._forgotten_after / 60)
            # While it is away nobody is heard. When it is back it tells again what it keeps.
            if not self.connected:
                self._heard.clear()
            for topic in ghosts(self._heard.items(), time.monotonic() - self._forgotten_after):
                with contextlib.suppress(EngineUnavailable):
                    self.publish(Message(topic=topic, payload=b"", retain=True))
