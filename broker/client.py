"""An MQTT client that lives on the event loop: paho-mqtt's protocol, without its threads.

It stays connected: it reconnects with decorrelated jitter, subscribes again, and sends again what
was not acknowledged. What arrives is acknowledged only after its receiver says so. paho keeps its
queue in memory only: what must survive this process is journaled by whoever publishes it.
"""

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker.certificates import TlsFiles, client_context
from broker.engine import Message, Receiver
from broker.errors import EngineUnavailable, LinkFull
from broker.url import BrokerUrl

log = structlog.get_logger()

UNSUPPORTED_VERSION = (0x84, 0x01)
"""How a broker without MQTT 5 refuses it: by MQTT 5's reason code, or by 3.1.1's return code."""


LEAVE_TIMEOUT = 1.0
"""Seconds that a broker gets to close a connection that we have left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """How a client behaves; durations in seconds."""

    client_id: str
    keepalive: int = 15
    connect_timeout: float = 5.0
    inflight: int = 100
    queued: int = 10_000
    persistent: bool = True
    try_mqtt5: bool = False
    will: Message | None = None
    tls: TlsFiles = TlsFiles()
    back_off_base: float = 0.2
    back_off_cap: float = 10.0


class BusClient:
    """One lasting connection to a broker. Used once: started, then stopped.

    `up` is set while the broker has accepted us and we have subscribed; `on_up` is called each time.
    """

    def __init__(self, url: str, settings: ClientSettings) -> None:
        self.url = BrokerUrl.parse(url)
        self._settings = settings
        self._mqtt5 = settings.try_mqtt5
        self.up = asyncio.Event()
        self.on_up: Callable[[], None] = lambda: None
        self._down = asyncio.Event()
        self._refused: str | None = None
        self._unacknowledged: dict[int, asyncio.Future[None]] = {}
        self._receiver: Receiver | None = None
        self._filters: tuple[str, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and we have subscribed."""
        return self.up.is_set()

    @property
    def unacknowledged(self) -> int:
        """How many published messages the broker has not acknowledged yet."""
        return len(self._unacknowledged)

    def start(self, receiver: Receiver, filters: Sequence[str]) -> None:
        """Begin to connect, and from then on stay connected until `stop`."""
        self._loop = asyncio.get_running_loop()
        self._receiver, self._filters = receiver, tuple(filters)
        self._paho = self._new_paho()
        self._own(self._stay_connected(), "stay connected")

    async def wait_connected(self, timeout: float) -> None:
        """Return once connected; raises EngineUnavailable after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self.up.wait()
        except TimeoutError:
            reason = f": {self._refused}" if self._refused else ""
            raise EngineUnavailable(
                f"no MQTT broker answered at {self.url.place} within {timeout:g} s{reason}"
            ) from None

    def unsubscribe_all(self) -> None:
        """Ask the broker for no further messages, now and after a reconnection."""
        filters, self._filters = self._filters, ()
        if filters and self.connected:
            self._paho.unsubscribe(list(filters))

    def publish(self, message: Message) -> asyncio.Future[None]:
        """Send a message; the future is done when the broker has acknowledged it (QoS 0: when sent).

        With QoS 1 and 2 it is kept while the broker is away. Raises LinkFull when as much is kept as
        may be, EngineUnavailable for a QoS 0 message that nobody can take now.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        properties = _publish_properties(message) if self._mqtt5 else None
        info = self._paho.publish(message.topic, message.payload, message.qos, message.retain, properties)
        match info.rc:
            case paho.MQTT_ERR_QUEUE_SIZE:
                raise LinkFull(f"{self._settings.queued} messages wait for {self.url.place} already")
            case paho.MQTT_ERR_NO_CONN if message.qos == 0:
                raise EngineUnavailable(f"the broker at {self.url.place} is away")
        if message.qos == 0:
            done.set_result(None)
        else:
            self._unacknowledged[info.mid] = done
        return done

    async def stop(self) -> None:
        """Disconnect in good order, without a will. A second call does nothing."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._receiver is not None:
            await self._leave()
        for waiting in self._unacknowledged.values():
            waiting.cancel()
        self._unacknowledged.clear()
        self.up.clear()

    async def _leave(self) -> None:
        if self._paho.is_connected():
            self._down.clear()
            self._paho.disconnect()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_TIMEOUT):
                    await self._down.wait()
        connection: Any = self._paho.socket()
        if connection is not None:
            self._on_socket_close(self._paho, None, connection)
            connection.close()

    def _own(self, work: Any, name: str) -> None:
        task = self._loop.create_task(work, name=f"{self._settings.client_id}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _new_paho(self) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if self._mqtt5 else not settings.persistent,
            protocol=MQTTProtocolVersion.MQTTv5 if self._mqtt5 else MQTTProtocolVersion.MQTTv311,
            transport="unix" if self.url.unix else "tcp",
            manual_ack=True,
        )
        client.max_inflight_messages = settings.inflight
        client.max_queued_messages = settings.queued
        client.connect_timeout = settings.connect_timeout
        if self.url.username is not None:
            client.username_pw_set(self.url.username, self.url.password)
        if self.url.tls:
            client.tls_set_context(client_context(settings.tls))
        if settings.will is not None:
            client.will_set(
                settings.will.topic, settings.will.payload, settings.will.qos, settings.will.retain
            )
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write
        return client

    async def _stay_connected(self) -> None:
        pause = self._settings.back_off_base
        while True:
            self._down.clear()
            try:
                await self._open_socket()
                await self._keep_alive()
            except (OSError, ValueError) as fault:
                self._refused = str(fault)
            if self.up.is_set():
                pause = self._settings.back_off_base
                self.up.clear()
            # Decorrelated jitter, so that nodes that lost one broker together do not return together:
            # Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
            pause = min(self._settings.back_off_cap, random.uniform(self._settings.back_off_base, pause * 3))  # noqa: S311
            log.info("broker_away", broker=self.url.place, reason=self._refused, next_try_s=round(pause, 2))
            await asyncio.sleep(pause)

    async def _open_socket(self) -> None:
        connecting = self._loop.run_in_executor(None, self._connect)
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            # The thread can't be interrupted, and what it opens has to be closed.
            await asyncio.wait({connecting})
            raise

    def _connect(self) -> None:
        start = {"clean_start": not self._settings.persistent} if self._mqtt5 else {}
        if self._mqtt5 and self._settings.persistent:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 24 * 3600
            start["properties"] = properties  # type: ignore[assignment]
        # paho wants a port for a unix socket too, and looks at it no further.
        self._paho.connect(self.url.host, self.url.port or 1, self._settings.keepalive, **start)  # type: ignore[arg-type]

    async def _keep_alive(self) -> None:
        # paho checks its keepalive here; a connection that was never accepted is given up in time too.
        deadline = self._loop.time() + self._settings.connect_timeout
        while not self._down.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._down.wait()
            self._paho.loop_misc()
            if not self.up.is_set() and self._loop.time() > deadline:
                self._refused = "it does not answer"
                self._paho.disconnect()
                return

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if client is not self._paho:
            return
        if reason.is_failure:
            self._refused = str(reason)
            if self._mqtt5 and reason.value in UNSUPPORTED_VERSION:
                self._mqtt5 = False
                self._paho = self._new_paho()
            return
        self._refused = None
        if self._filters:
            self._subscribe()
        else:
            self._is_up()

    def _on_subscribe(self, client: paho.Client, *_arguments: Any) -> None:
        if client is self._paho:
            self._is_up()

    def _is_up(self) -> None:
        log.info("broker_reached", broker=self.url.place, mqtt5=self._mqtt5)
        self.up.set()
        self.on_up()

    def _subscribe(self) -> None:
        if self._mqtt5:
            self._paho.subscribe([(one, SubscribeOptions(qos=2)) for one in self._filters])
        else:
            self._paho.subscribe([(one, 2) for one in self._filters])

    def _on_disconnect(self, *_arguments: Any) -> None:
        self._down.set()

    def _on_message(self, client: paho.Client, _data: Any, received: paho.MQTTMessage) -> None:
        assert self._receiver is not None
        stored = None if received.retain else self._receiver(_message(received))
        if received.qos == 0:
            return
        if stored is None:
            client.ack(received.mid, received.qos)
            return

        def acknowledge(stored: asyncio.Future[None]) -> None:
            if not stored.cancelled() and stored.exception() is None and client is self._paho:
                client.ack(received.mid, received.qos)

        stored.add_done_callback(acknowledge)

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        done = self._unacknowledged.pop(mid, None)
        if done is None or done.done():
            return
        if reason.is_failure:
            done.set_exception(EngineUnavailable(f"the broker refused a message: {reason}"))
        else:
            done.set_result(None)

    def _on_socket_open(self, client: paho.Client, _data: Any, connection: Any) -> None:
        # Without it a request and its answer wait for each other's delayed acknowledgement: 44 ms.
        with contextlib.suppress(OSError, AttributeError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.call_soon_threadsafe(self._watch, client, connection)

    def _watch(self, client: paho.Client, connection: Any) -> None:
        if connection.fileno() >= 0:
            self._loop.add_reader(connection, self._read, client, connection)

    def _read(self, client: paho.Client, connection: Any) -> None:
        client.loop_read()
        # What TLS has decrypted already makes the socket readable no more.
        while connection.fileno() >= 0 and isinstance(connection, ssl.SSLSocket) and connection.pending():
            client.loop_read()

    def _on_socket_close(self, _client: Any, _data: Any, connection: Any) -> None:
        if connection.fileno() >= 0:
            self._loop.remove_reader(connection)
            self._loop.remove_writer(connection)
        self._loop.call_soon_threadsafe(self._down.set)

    def _on_register_write(self, client: paho.Client, _data: Any, connection: Any) -> None:
        self._loop.call_soon_threadsafe(self._watch_writes, client, connection)

    def _watch_writes(self, client: paho.Client, connection: Any) -> None:
        if connection.fileno() >= 0 and client.want_write():
            self._loop.add_writer(connection, client.loop_write)

    def _on_unregister_write(self, _client: Any, _data: Any, connection: Any) -> None:
        if connection.fileno() >= 0:
            self._loop.remove_writer(connection)


def _message(received: paho.MQTTMessage) -> Message:
    properties = received.properties
    return Message(
        topic=received.topic,
        payload=bytes(received.payload),
        qos=received.qos,
        retain=received.retain,
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation=getattr(properties, "CorrelationData", None),
        expiry=getattr(properties, "MessageExpiryInterval", None),
    )


def _publish_properties(message: Message) -> Properties | None:
    if message.correlation is None and message.expiry is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    if message.expiry is not None:
        properties.MessageExpiryInterval = max(1, round(message.expiry))
    return properties
