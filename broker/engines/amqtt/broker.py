"""amqtt's broker with what a node needs of one. The only module that imports amqtt.

The node hears what clients publish inside the process, before anybody else, and amqtt acknowledges a message
only after the node has stored it. All else is amqtt as it is shipped. What is overridden here has private
names: tests/broker/engines/amqtt/test_contract.py fails where a later amqtt has changed them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from amqtt.broker import Broker
from amqtt.errors import AMQTTError, BrokerError, MQTTError, PluginError, PluginLoadError
from dacite import DaciteError

from broker.contract.address import Address
from broker.contract.engine import Receiver
from broker.contract.filters import FilterSet
from broker.contract.message import Message
from broker.contract.topics import is_for_once
from broker.engines.amqtt.first_packet import FirstPacket
from broker.errors import EngineError
from broker.mqtt.kinds import V5
from broker.mqtt.packets import Connack
from broker.mqtt.reasons import Reason
from broker.mqtt.writing import encode

_DELIVERY = "weighbridge.delivery"
"""Where a session keeps what it is handing over; amqtt leaves such attributes to whoever embeds it."""

_INSTALL_HINT = "pip install 'amqtt[contrib]' brings what most of its plugins need"

_LOGGED = 200
"""Characters of a topic or a name that are logged: clients choose them."""

_FAULTS = (
    *(AMQTTError, BrokerError, PluginError, PluginLoadError, DaciteError),
    *(ValueError, TypeError, LookupError, AttributeError, OSError),
)
"""What amqtt raises for a configuration that it cannot use: it checks little of it."""

_SCHEMES = {("tcp", False): "mqtt", ("tcp", True): "mqtts", ("ws", False): "ws", ("ws", True): "wss"}
"""By the type of a listener, and whether it has TLS. The first ones are what programs are told of."""

log = structlog.get_logger()


class NodeBroker(Broker):  # type: ignore[misc]  # amqtt ships no types
    """amqtt's broker. `denied` counts the publishes that its plugins have not let pass."""

    def __init__(self, configuration: dict[str, Any], connect_timeout: float) -> None:
        """Load the plugins; a client has `connect_timeout` seconds to say who it is. Raises EngineError."""
        with _sentences("its configuration cannot be used"):
            super().__init__(configuration)
        self._hear: Receiver = lambda _: None
        self._filters = FilterSet(())
        self._replayed: tuple[str, ...] = ()
        self._connect_timeout = connect_timeout
        self._connecting: set[asyncio.Task[Any]] = set()
        self.denied = 0

    def hand_to(self, hear: Receiver) -> None:
        """From now on call `hear` with what the node is to hear."""
        self._hear = hear

    def hear(self, filters: Sequence[str], retained: Sequence[str]) -> None:
        """Have the node hear `filters` from now on, and what is retained under new ones in `retained`."""
        asked = FilterSet(one for one in retained if one not in self._replayed)
        self._filters, self._replayed = FilterSet(filters), tuple(retained)
        for kept in tuple(self._retained_messages.values()):
            if asked.matches(kept.topic):
                source, topic, payload = kept.source_session, kept.topic, bytes(kept.data)
                client, user = (None, None) if source is None else (source.client_id, _user(source))
                qos = kept.qos or 0
                self._hear(
                    Message(topic=topic, payload=payload, qos=qos, replayed=True, client_id=client, user=user)
                )

    async def open(self) -> None:
        """Start to serve. Raises EngineError."""
        # It writes a traceback of its own about what the sentence says.
        logger = logging.getLogger("amqtt.broker")
        logger.disabled = True
        try:
            with _sentences("it cannot start"):
                await self.start()
        finally:
            logger.disabled = False

    async def close(self) -> None:
        """End every connection, also of who has not said yet who it is, and the plugins."""
        for one in self._connecting:
            one.cancel()
        await self.shutdown()

    async def send(self, message: Message) -> None:
        """Give a message of the node to whoever has subscribed."""
        await self.internal_message_broadcast(message.topic, message.payload)
        if message.retain:
            await self.retain_message(None, message.topic, message.payload, message.qos)

    @property
    def sends(self) -> bool:
        """Whether something is still on its way to subscribers that are connected."""
        return not self._broadcast_queue.empty() or any(not one.done() for one in self._tasks_queue)

    @property
    def url(self) -> str:
        """Where devices reach it, once it is open; by TCP where it is."""
        urls: list[tuple[str, Address]] = [
            (_SCHEMES[str(listener.type), bool(listener.ssl)], place)
            for name, listener in self.config.listeners.items()
            if (place := self._place(name, listener.bind)) is not None
        ]
        first = min(urls, key=lambda one: tuple(_SCHEMES.values()).index(one[0]), default=None)
        return "" if first is None else f"{first[0]}://{first[1]}"

    def _place(self, name: str, bind: str | None) -> Address | None:
        server = self._servers.get(name)
        if server is None or server.instance is None:
            return None
        host, port, *_ = server.instance.sockets[0].getsockname()
        wanted, wanted_port = self._split_bindaddr_port(bind, port)
        return Address(wanted, port) if wanted and wanted_port else Address(host, port)

    async def _client_connected(self, listener_name: str, reader: Any, writer: Any) -> None:
        try:
            await super()._client_connected(listener_name, reader, writer)
        except Exception as fault:  # noqa: BLE001  # plugins are anybody's, and may raise anything
            reason = f"{type(fault).__name__}: {' '.join(str(fault).split())[:_LOGGED]}"
            log.warning("amqtt_client_failed", reason=reason, next_step="see what the plugins read")
        finally:
            # amqtt leaves open what it has given up on.
            await writer.close()

    async def _initialize_client_session(self, reader: Any, writer: Any, *place: Any) -> Any:
        connecting = asyncio.current_task()
        assert connecting is not None
        self._connecting.add(connecting)
        try:
            async with asyncio.timeout(self._connect_timeout):
                first = FirstPacket(reader)
                if await first.look():
                    await _refuse_mqtt_5(writer)
                handler, session = await super()._initialize_client_session(first, writer, *place)
        except TimeoutError as fault:
            raise AMQTTError("it has not said who it is") from fault
        except (asyncio.IncompleteReadError, IndexError, OSError) as fault:
            raise AMQTTError("it has gone before it said who it is") from fault
        finally:
            self._connecting.discard(connecting)
        if not isinstance(session.delivered_message_queue, _Deliveries):
            session.delivered_message_queue = _Deliveries()
        return handler, session

    async def _handle_message_delivery(self, client_session: Any, handler: Any, wait_deliver: Any) -> bool:
        delivery = client_session.attributes[_DELIVERY] = _Delivery(wait_deliver.result())
        goes_on = await super()._handle_message_delivery(client_session, handler, wait_deliver)
        del client_session.attributes[_DELIVERY]
        if not goes_on:
            # amqtt says that it closes the connection, and leaves it open without reading what comes.
            await handler.handle_connection_closed()
            return True
        if not delivery.passed and delivery.message is not None:
            self.denied += 1
            topic = delivery.message.topic[:_LOGGED]
            log.info("publish_denied", client=str(client_session.client_id)[:_LOGGED], topic=topic)
        client_session.delivered_message_queue.settle(delivery, handler)
        return True

    async def _broadcast_message(
        self, session: Any, topic: str | None, data: Any, force_qos: int | None = None
    ) -> None:
        # None for a will: it is no message that a client waits for.
        delivery = None if session is None else session.attributes.get(_DELIVERY)
        if delivery is not None:
            delivery.passed = True
        if session is not None and topic is not None and self._filters.matches(topic):
            retained = delivery is not None and delivery.message.retain
            if data or not retained:
                stored = self._hear(_message(session, topic, data, force_qos, delivery))
                if delivery is not None and isinstance(stored, asyncio.Future):
                    # MQTT 3.1.1 acknowledges what is refused, too.
                    delivery.stored = stored
        await super()._broadcast_message(session, topic, data, force_qos)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Any
    ) -> None:
        # amqtt gives whoever connects what is retained under anybody's filter, past every check.
        subscribers = self.subscriptions.get(subscription[0], ())
        if any(one.client_id == session.client_id for one, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def retain_message(
        self, source_session: Any, topic_name: str | None, data: Any, qos: int | None = None
    ) -> None:
        if source_session is None or topic_name is None or not is_for_once(topic_name):
            await super().retain_message(source_session, topic_name, data, qos)


@dataclass
class _Delivery:
    """A message of a client: whether its plugins have let it pass, and what the node answered."""

    message: Any
    passed: bool = False
    stored: asyncio.Future[Any] | None = None


class _Deliveries(asyncio.Queue[Any]):
    """What one client has published with any QoS. amqtt acknowledges a message when `put` returns."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[int, asyncio.Future[tuple[_Delivery, Any]]] = {}

    async def put(self, item: Any) -> None:
        """Hand a message over; returns when the node has stored it, and never where it could not."""
        settled = self._waiting[id(item)] = asyncio.get_running_loop().create_future()
        try:
            await super().put(item)
            delivery, handler = await settled
        finally:
            del self._waiting[id(item)]
        if delivery.stored is None:
            return
        # Whoever waits for it goes when the connection ends; the future is shared with others.
        await asyncio.wait([delivery.stored])
        if delivery.stored.cancelled() or delivery.stored.exception() is not None:
            await handler.handle_connection_closed()
            await asyncio.get_running_loop().create_future()

    def settle(self, delivery: _Delivery, handler: Any) -> None:
        """Say what has become of a message; of QoS 0 nobody waits for it."""
        waiting = self._waiting.get(id(delivery.message))
        if waiting is not None and not waiting.done():
            waiting.set_result((delivery, handler))


async def _refuse_mqtt_5(writer: Any) -> None:
    """Say it in the words of MQTT 5, so that the client comes again with 3.1.1. Raises MQTTError."""
    writer.write(encode(Connack(Reason.UNSUPPORTED_PROTOCOL_VERSION), V5))
    await writer.drain()
    raise MQTTError("it speaks MQTT 5, and amqtt 3.1.1")


def _message(
    session: Any, topic: str, data: Any, will_qos: int | None, delivery: _Delivery | None
) -> Message:
    return Message(
        topic=topic,
        payload=bytes(data or b""),
        qos=(will_qos if delivery is None else delivery.message.qos) or 0,
        client_id=session.client_id,
        user=_user(session),
    )


def _user(session: Any) -> str | None:
    return None if session.is_anonymous else session.username


@contextlib.contextmanager
def _sentences(what: str) -> Iterator[None]:
    """Turn amqtt's errors, which hide their reasons behind each other, into one sentence."""
    try:
        yield
    except _FAULTS as fault:
        reasons: list[str] = []
        cause: BaseException | None = fault
        while cause is not None:
            text = " ".join(str(cause).split())
            if text and not any(text in one for one in reasons):
                reasons.append(text)
            missing = isinstance(cause, ModuleNotFoundError)
            cause = cause.__cause__
        hint = f"; {_INSTALL_HINT}" if missing else ""
        raise EngineError(f"amqtt: {what}: {': '.join(reasons) or type(fault).__name__}{hint}") from fault
