"""The engine that runs amqtt's own broker in this process, for those who have plugins of it.

A device's PUBACK says, as with the embedded broker, that the task is in the journal: the node hears a message
inside the process, before amqtt acknowledges it. What amqtt holds for subscribers is in memory, and gone with
the node; docs/guarantees.md has what else it does not promise.
"""

import asyncio
from collections.abc import Sequence

import structlog

from broker.contract.engine import Engine, Receiver
from broker.contract.message import Message
from broker.engines.amqtt.broker import NodeBroker
from broker.engines.amqtt.configuration import AmqttSettings
from broker.errors import EngineUnavailable

SEND_TIMEOUT = 5.0
"""Seconds for the last messages to leave: as long as amqtt waits for a subscriber's acknowledgement."""

STOP_TIMEOUT = 5.0
"""Seconds for amqtt and its plugins to close. Since Python 3.12 a client that stays could keep them."""

log = structlog.get_logger()


class AmqttEngine(Engine):
    """Made where a loop runs: amqtt loads its plugins then, and they may need one."""

    def __init__(self, settings: AmqttSettings) -> None:
        """Raises SettingsError and EngineError for what amqtt cannot use."""
        self._broker = NodeBroker(settings.configuration(), settings.connect_timeout)
        self._runs = False
        self._sending: set[asyncio.Task[None]] = set()

    async def start(self, receiver: Receiver, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        self._broker.hand_to(receiver)
        self._broker.hear(filters, ())
        await self._broker.open()
        self._runs = True
        # Only an open one knows what is retained: a plugin may have brought it.
        self._broker.hear(filters, retained)

    async def hear(self, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        self._broker.hear(filters, retained)

    async def pause(self) -> None:
        # What nobody stores is never acknowledged.
        self._broker.hand_to(lambda _: asyncio.get_running_loop().create_future())

    async def stop(self) -> None:
        runs, self._runs = self._runs, False
        if not runs:
            return
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                while self._sending or self._broker.sends:  # noqa: ASYNC110  # amqtt tells nobody
                    await asyncio.sleep(0.01)
        except TimeoutError:
            log.warning("messages_not_sent", reason="subscribers have not taken them in time")
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._broker.close()
        except TimeoutError:
            log.warning("amqtt_not_closed", next_step="the node stops without it")

    def publish(self, message: Message) -> asyncio.Future[None] | None:
        if not self._runs:
            raise EngineUnavailable("the broker is not running")
        sending = asyncio.create_task(self._broker.send(message), name="amqtt: publish")
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return sending if message.qos else None

    @property
    def url(self) -> str:
        return self._broker.url

    @property
    def connected(self) -> bool:
        return self._runs

    @property
    def denied(self) -> int:
        return self._broker.denied
