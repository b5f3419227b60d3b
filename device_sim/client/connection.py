"""One MQTT connection on the event loop: paho-mqtt through its public interface, without threads.

A fleet has hundreds of them in one process. Here a message is one function call, and a write goes out at
once. aiomqtt takes a task and a queue for each message and a turn of the selector for each write: twice the
processor time for a request and its answer.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.contract.mqtt_version import MqttVersion
from broker.contract.url import BrokerUrl
from broker.mqtt.reasons import Reason
from device_sim.client.log import log
from device_sim.client.outgoing import Acknowledgement, Outgoing, sentence
from device_sim.errors import NodeUnreachable

OnMessage = Callable[[str, bytes], None]
"""Called on the event loop with the topic and the payload of each message; it must not raise."""


class NotAccepted(NodeUnreachable):
    """Raised when a broker refuses our version of MQTT, or ends the connection instead of accepting it."""


class Connection:
    """One connection, from CONNECT until it is lost or closed. Used once.

    Its owner opens it, waits for `lost`, and closes it. Sessions are clean: the owner knows which tasks are
    still unanswered, and sends them again on the next connection.
    """

    def __init__(
        self,
        url: BrokerUrl,
        on_message: OnMessage,
        *,
        client_id: str,
        mqtt: MqttVersion,
        keepalive: int = 30,
        window: int = 100,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._url = url
        self._on_message = on_message
        self._keepalive = keepalive
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._subscribing: dict[int, asyncio.Future[None]] = {}
        self._lost = asyncio.Event()
        self._reason = "closed"
        self._timer: asyncio.TimerHandle | None = None
        self._socket: socket.socket | None = None
        self._mqtt5 = mqtt == 5
        self._paho = self._new_paho(client_id)
        self._outgoing = Outgoing(self._paho, window)

    def __str__(self) -> str:
        return self._url.place

    async def open(self, filters: Sequence[str], timeout: float) -> None:
        """Connect and subscribe, each within `timeout`. Raises NodeUnreachable, and is then closed.

        It is NotAccepted where another version of MQTT may help.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._connect(timeout)
                await self._accepted
            await self.subscribe(filters, timeout)
        except (OSError, ValueError) as fault:
            self._close(str(fault))
            reason = str(fault) or f"no answer in {timeout:g} s"
            # What refuses us, or nobody at all, would do so in any version.
            ended = isinstance(fault, ConnectionError) and not isinstance(fault, ConnectionRefusedError)
            kind = NotAccepted if ended else NodeUnreachable
            raise kind(f"no connection to the node at {self}: {reason}") from fault
        except BaseException:
            self._close("given up")
            raise

    async def subscribe(self, filters: Sequence[str], timeout: float) -> None:
        """Subscribe at QoS 1; returns once granted. Raises NodeUnreachable if refused or not answered."""
        code, mid = self._paho.subscribe([(one, 1) for one in filters])
        if code != paho.MQTT_ERR_SUCCESS or mid is None or self._lost.is_set():
            raise NodeUnreachable(f"the connection to {self} was lost: {self._reason}")
        granted = self._subscribing[mid] = self._loop.create_future()
        self._flush()
        try:
            async with asyncio.timeout(timeout):
                await granted
        except TimeoutError as fault:
            raise NodeUnreachable(f"{self} did not answer a subscription in {timeout:g} s") from fault
        finally:
            del self._subscribing[mid]

    def publish(self, topic: str, payload: bytes, *, expiry: int | None = None) -> Acknowledgement:
        """Send at QoS 1; the future is done when acknowledged, cancelled if the connection is lost.

        With MQTT 5 it may be a refusal, and the broker forgets the message after `expiry` seconds.
        """
        try:
            acknowledged = self._outgoing.add(topic, payload, expiry if self._mqtt5 else None)
        except ConnectionError as fault:
            self._close(str(fault))
            acknowledged = self._loop.create_future()
        if self._lost.is_set():
            acknowledged.cancel()
        else:
            self._send()
        return acknowledged

    async def lost(self) -> str:
        """Wait until the connection is gone, and say why."""
        await self._lost.wait()
        return self._reason

    def close(self) -> None:
        """Say goodbye and close. A second call does nothing."""
        if not self._lost.is_set():
            self._paho.disconnect()
        self._close("closed")

    async def _connect(self, timeout: float) -> None:
        self._paho.connect_timeout = timeout
        # In a thread of the loop's pool, because looking up the name and connecting block.
        connecting = self._loop.run_in_executor(
            None, self._paho.connect, self._url.host, self._url.port, self._keepalive
        )
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(self._close_late)
            raise
        self._watch()

    def _watch(self) -> None:
        connection = self._paho.socket()
        if not isinstance(connection, socket.socket):
            raise ConnectionError("closed at once")
        # Without it a request and its answer wait for each other's delayed acknowledgement: 44 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._paho.on_socket_close = self._forget_socket
        self._loop.add_reader(connection, self._read)
        self._tick()

    def _close_late(self, connecting: asyncio.Future[Any]) -> None:
        if not connecting.cancelled() and connecting.exception() is None:
            self._paho.disconnect()

    def _tick(self) -> None:
        # paho pings, and gives up a silent broker, only when it is called.
        self._timer = self._loop.call_later(1.0, self._tick)
        self._paho.loop_misc()

    def _read(self) -> None:
        try:
            self._paho.loop_read()
            # TLS may have decrypted more than one packet, and of the others no event comes.
            while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
                self._paho.loop_read()
        except Exception as fault:  # noqa: BLE001  # paho raises what a broken packet makes its decoder raise
            log.warning("packet_unreadable", node=str(self), next_step="connect again", exc_info=True)
            self._fail(f"unreadable packet: {fault}")
        self._flush()

    def _send(self) -> None:
        try:
            self._outgoing.send()
        except ConnectionError as fault:
            self._close(str(fault))
        self._flush()

    def _flush(self) -> None:
        """If the socket took only a part, write the rest as soon as it has room."""
        if self._socket is not None and self._paho.want_write():
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        self._paho.loop_write()
        if self._socket is not None and not self._paho.want_write():
            self._loop.remove_writer(self._socket)

    def _fail(self, reason: str) -> None:
        if not self._accepted.done():
            self._accepted.set_exception(ConnectionError(reason))
        self._close(reason)

    def _close(self, reason: str) -> None:
        if self._lost.is_set():
            return
        self._reason = reason
        self._lost.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            connection = self._socket
            self._forget_socket()
            connection.close()
        self._accepted.cancel()
        for granted in self._subscribing.values():
            if not granted.done():
                granted.set_exception(NodeUnreachable(f"the connection to {self} was lost: {reason}"))
        self._outgoing.cancel()

    def _forget_socket(self, *_arguments: Any) -> None:
        # Now, because the next socket may get the same number.
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = None

    def _new_paho(self, client_id: str) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            # With MQTT 5 it is a matter of the CONNECT, and a session ends with its connection.
            clean_session=None if self._mqtt5 else True,
            protocol=MQTTProtocolVersion.MQTTv5 if self._mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if self._url.username is not None:
            client.username_pw_set(self._url.username, self._url.password)
        if self._url.tls:
            client.tls_set_context(ssl.create_default_context())
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = lambda _client, _data, message: self._on_message(
            message.topic, bytes(message.payload)
        )
        return client

    def _on_connect(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self._accepted.done():
            return
        if reason.is_failure:
            kind = (
                ConnectionError
                if reason.value == Reason.UNSUPPORTED_PROTOCOL_VERSION
                else ConnectionRefusedError
            )
            self._accepted.set_exception(kind(sentence(reason, properties)))
        else:
            self._outgoing.limit(properties)
            self._accepted.set_result(None)

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        why = (
            f"connection lost ({reason})"
            if self._accepted.done()
            else f"closed before it was accepted ({reason})"
        )
        self._fail(why)

    def _on_subscribe(
        self, _client: Any, _data: Any, mid: int, codes: list[ReasonCode], _properties: Any
    ) -> None:
        waiting = self._subscribing.get(mid)
        if waiting is None or waiting.done():
            return
        if any(code.is_failure for code in codes):
            waiting.set_exception(NodeUnreachable(f"{self} refused a subscription"))
        else:
            waiting.set_result(None)

    def _on_publish(
        self, _client: Any, _data: Any, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._outgoing.acknowledge(mid, reason, properties)
        self._send()
