"""A client that was let in: what it publishes and what it subscribes to, as far as it has the right to."""

from collections.abc import Callable, Iterable
from functools import partial

import structlog

from broker.contract.pending import Pending
from broker.engines.embedded.access import Login
from broker.engines.embedded.core import LOGGED, BrokerCore
from broker.engines.embedded.handshake import Admission
from broker.engines.embedded.routing.router import Sender
from broker.engines.embedded.sessions.grant import Grant
from broker.engines.embedded.sessions.session import Session
from broker.mqtt.acknowledgements import Acknowledgements
from broker.mqtt.kinds import PUBACK, PUBREC
from broker.mqtt.packets import Publish, Subscribe, Subscription
from broker.mqtt.reasons import FAILURE
from broker.mqtt.writing import encode_ack

log = structlog.get_logger()


class Client:
    """A client with its session, for as long as one connection lasts.

    A message is taken in once, and acknowledged in order through `send` when it is stored; `acks` are those
    that are still due. Where a message could not be stored, `fail` is called and has to end the connection.
    A `bridge` is another broker: it keeps retain flags and does not want its own messages back.
    """

    __slots__ = ("_bridge", "_core", "_sender", "acks", "login", "session")

    def __init__(
        self,
        core: BrokerCore,
        login: Login,
        admission: Admission,
        *,
        bridge: bool,
        send: Callable[[bytes], None],
        fail: Callable[[], None],
    ) -> None:
        self._core = core
        self.login = login
        self.session = admission.session
        self._bridge = bridge
        self._sender = Sender(login.client_id, self.session.name, admission.identity)
        self.acks = Acknowledgements(send, fail)

    @property
    def user(self) -> str | None:
        """The name of the client's user; None where the broker has no users."""
        identity = self._sender.identity
        return None if identity is None else identity.name

    def publish(self, packet: Publish) -> None:
        """Take a message in and acknowledge it once it is stored. Raises ProtocolError."""
        core, session = self._core, self.session
        core.counters.publishes_received += 1
        core.counters.publish_bytes_received += len(packet.payload)
        core.check_topic(packet.topic)
        if packet.qos == 2 and packet.packet_id in session.received:
            # Sent again because our PUBREC was lost, or is not due yet: taken in once.
            self.acks.add(session.received[packet.packet_id], encode_ack(PUBREC, packet.packet_id))
            return
        if core.paused:
            # Without an acknowledgement the client keeps it, and sends it to whoever comes after us.
            core.counters.dropped_paused += packet.qos == 0
            return
        stored = core.take(packet, self.login, self._sender)
        if packet.qos == 1:
            self.acks.add(stored, encode_ack(PUBACK, packet.packet_id))
        elif packet.qos == 2:
            session.heard(packet.packet_id, stored)
            if stored is not None:
                stored.add_done_callback(partial(_forget_unstored, session, packet.packet_id))
            self.acks.add(stored, encode_ack(PUBREC, packet.packet_id))

    def subscribe(self, packet: Subscribe) -> list[int]:
        """Subscribe to what the client may read; returns a code for each filter."""
        return [self._subscribe(one) for one in packet.wanted]

    def unsubscribe(self, filters: Iterable[str]) -> None:
        """Unsubscribe from some filters."""
        for one in filters:
            self._core.router.unsubscribe(self.session, one)

    def send_retained(self, packet: Subscribe, codes: Iterable[int]) -> None:
        """Send the retained messages of what was subscribed to, as `subscribe` has answered it."""
        for one, code in zip(packet.wanted, codes, strict=True):
            if code != FAILURE:
                self._core.router.send_retained(self.session, one.filter)

    def stop(self) -> None:
        """Acknowledge nothing more: the connection has ended."""
        self.acks.clear()

    def _subscribe(self, subscription: Subscription) -> int:
        core, wanted = self._core, subscription.filter
        if core.fits(wanted) and core.access.may_subscribe(self.login, wanted):
            # As Mosquitto does for bridges: two brokers would send it to each other for ever.
            grant = Grant.of(subscription.qos, no_local=self._bridge, retain_as_published=self._bridge)
            # MQTT 3.1.1 has one code for all that fails.
            return min(core.router.subscribe(self.session, wanted, grant).code, FAILURE)
        core.counters.subscriptions_denied += 1
        log.info("subscription_denied", client=self.login.client_id, user=self.user, filter=wanted[:LOGGED])
        return FAILURE


def _forget_unstored(session: Session, packet_id: int, stored: Pending) -> None:
    """Let a QoS 2 message that was not stored be taken in when it is sent again."""
    if stored.cancelled() or stored.exception() is not None:
        session.released(packet_id)
