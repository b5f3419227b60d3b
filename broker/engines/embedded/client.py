"""A client that was let in: what it publishes and what it subscribes to, as far as it has the right to."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog
from msgspec.structs import replace

from broker.contract.pending import Pending
from broker.contract.refusal import Refusal
from broker.engines.embedded.access import Login
from broker.engines.embedded.core import LOGGED, BrokerCore
from broker.engines.embedded.handshake import Admission, expiry_of
from broker.engines.embedded.routing.router import Sender, Subscribed
from broker.engines.embedded.sessions.grant import Grant
from broker.engines.embedded.sessions.session import Session
from broker.errors import ProtocolError
from broker.mqtt.acknowledgements import Acknowledgements
from broker.mqtt.kinds import PUBACK, PUBCOMP, PUBREC, SEND_IF_NEW, SEND_NONE, V5
from broker.mqtt.packets import Ack, Connect, Disconnect, Publish, Subscribe, Subscription
from broker.mqtt.reasons import FAILURE, Reason
from broker.mqtt.writing import Answer, encode_ack, encode_within

log = structlog.get_logger()


class Client:
    """A client with its session, for as long as one connection lasts.

    A message is taken in once, and acknowledged in order through `send` when it is stored; `acks` are those
    that are still due. Where a message could not be stored, `fail` is called and has to end the connection.
    `speaks_mqtt5` tells whether it has connected with that version.
    """

    __slots__ = (
        "_aliases",
        "_connect",
        "_core",
        "_send",
        "_sender",
        "_unacknowledged",
        "acks",
        "login",
        "session",
        "speaks_mqtt5",
    )

    def __init__(
        self,
        core: BrokerCore,
        login: Login,
        admission: Admission,
        connect: Connect,
        *,
        send: Callable[[bytes], None],
        fail: Callable[[], None],
    ) -> None:
        self._core = core
        self._connect = connect
        self._send = send
        self._sender = Sender(login.client_id, admission.session.name, admission.identity)
        self._aliases: dict[int, str] | None = None
        self._unacknowledged = 0
        self.speaks_mqtt5 = connect.version == V5
        self.login = login
        self.session = admission.session
        self.acks = Acknowledgements(self._acknowledge, fail)

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
        if self.speaks_mqtt5:
            packet = self._as_announced(packet)
        core.check_topic(packet.topic)
        if packet.qos == 2 and packet.packet_id in session.received:
            # Sent again because our PUBREC was lost, or is not due yet: taken in once.
            self.acks.add(session.received[packet.packet_id], PUBREC, packet.packet_id)
            return
        if core.paused:
            # Without an acknowledgement the client keeps it, and sends it to whoever comes after us.
            core.counters.dropped_paused += packet.qos == 0
            return
        taken = core.take(packet, self.login, self._sender)
        if packet.qos == 1:
            self._unacknowledged += 1
            self.acks.add(taken, PUBACK, packet.packet_id)
        elif packet.qos == 2:
            session.heard(packet.packet_id, taken)
            if taken is not None and not isinstance(taken, Refusal):
                taken.add_done_callback(partial(_forget_unstored, session, packet.packet_id))
            self.acks.add(taken, PUBREC, packet.packet_id)

    def hear(self, packet: Ack) -> None:
        """Hear a PUBREL, and answer it. Or a PUBACK, PUBREC or PUBCOMP. Raises ProtocolError."""
        if packet.kind in (PUBACK, PUBREC, PUBCOMP):
            self.session.acknowledged(packet.kind, packet.packet_id, packet.reason)
            return
        known = self.session.released(packet.packet_id)
        reason = 0 if known or not self.speaks_mqtt5 else Reason.PACKET_IDENTIFIER_NOT_FOUND
        self._send(encode_ack(PUBCOMP, packet.packet_id, reason))

    def subscribe(self, packet: Subscribe) -> list[Subscribed]:
        """Subscribe to what the client may read; tells what became of each filter."""
        return [self._subscribe(one, packet.subscription_id) for one in packet.wanted]

    def unsubscribe(self, filters: Iterable[str]) -> list[int]:
        """Unsubscribe from some filters; returns a code for each."""
        router, session = self._core.router, self.session
        return [
            Reason.SUCCESS if router.unsubscribe(session, one) else Reason.NO_SUBSCRIPTION_EXISTED
            for one in filters
        ]

    def send_retained(self, packet: Subscribe, subscribed: Sequence[Subscribed]) -> None:
        """Send the retained messages of what was subscribed to, as `subscribe` has answered it."""
        # A filter once, though a packet names it a thousand times.
        filters = {}
        for one, made in zip(packet.wanted, subscribed, strict=True):
            unwanted = one.retain_handling == SEND_NONE or (
                one.retain_handling == SEND_IF_NEW and not made.new
            )
            if made.code < FAILURE and not unwanted:
                filters[one.filter] = True
        for each in filters:
            self._core.router.send_retained(self.session, each)

    def take_leave(self, packet: Disconnect) -> None:
        """The client leaves by itself. Raises ProtocolError."""
        if packet.session_expiry is not None:
            if not self._connect.session_expiry and packet.session_expiry:
                raise ProtocolError("a session without an expiry gets one at its end", Reason.PROTOCOL_ERROR)
            self._core.sessions.change_expiry(self.session, expiry_of(packet.session_expiry))
        # With any other reason the client asks for its will, or tells of an error (MQTT 5, 3.14.4).
        if packet.reason == Reason.SUCCESS:
            self._core.wills.cancel(self.session.name)

    def answer(self, packet: Answer) -> None:
        """Send an answer. Raises ProtocolError where the client does not take so large ones."""
        data = encode_within(packet, self._connect.version, self._connect.maximum_packet)
        if data is None:
            raise ProtocolError("the answer is larger than what the client takes", Reason.PACKET_TOO_LARGE)
        self._send(data)

    def tell(self, packet: Disconnect) -> None:
        """Tell a client of MQTT 5 why it is cut off."""
        data = encode_within(packet, V5, self._connect.maximum_packet)
        if data is not None:
            self._send(data)

    def stop(self) -> None:
        """Acknowledge nothing more: the connection has ended."""
        self.acks.clear()

    def _as_announced(self, packet: Publish) -> Publish:
        """A message of MQTT 5 with its topic; it keeps to what the broker has announced, or ProtocolError."""
        settings, received = self._core.settings, self.session.received
        # Those of QoS 2 count until they are released, or refused.
        full = self._unacknowledged + len(received) >= settings.pending_acks
        if full and packet.qos and packet.packet_id not in received:
            raise ProtocolError(
                f"more than {settings.pending_acks} messages wait for their acknowledgement",
                Reason.RECEIVE_MAXIMUM_EXCEEDED,
            )
        if packet.subscription_ids:
            raise ProtocolError("a client sends a subscription identifier", Reason.PROTOCOL_ERROR)
        if not packet.alias:
            return packet
        if packet.alias > settings.topic_aliases:
            raise ProtocolError(
                f"topic alias {packet.alias} is above {settings.topic_aliases}", Reason.TOPIC_ALIAS_INVALID
            )
        if self._aliases is None:
            self._aliases = {}
        if packet.topic:
            self._aliases[packet.alias] = packet.topic
            return packet
        topic = self._aliases.get(packet.alias)
        if topic is None:
            raise ProtocolError(f"topic alias {packet.alias} stands for no topic", Reason.PROTOCOL_ERROR)
        return replace(packet, topic=topic)

    def _subscribe(self, subscription: Subscription, identifier: int) -> Subscribed:
        core, wanted = self._core, subscription.filter
        if not core.fits(wanted):
            code = Reason.TOPIC_FILTER_INVALID
        elif not core.access.may_subscribe(self.login, wanted):
            code = Reason.NOT_AUTHORIZED
        else:
            # As Mosquitto does for bridges: two brokers would send it to each other for ever.
            bridge = self._connect.bridge
            grant = Grant.of(
                subscription.qos,
                no_local=subscription.no_local or bridge,
                retain_as_published=subscription.retain_as_published or bridge,
                identifier=identifier,
            )
            return core.router.subscribe(self.session, wanted, grant)
        core.counters.subscriptions_denied += 1
        log.info("subscription_denied", client=self.login.client_id, user=self.user, filter=wanted[:LOGGED])
        return Subscribed(code, new=False)

    def _acknowledge(self, kind: int, packet_id: int, refusal: Refusal | None) -> None:
        self._unacknowledged -= kind == PUBACK
        if refusal is None or not self.speaks_mqtt5:
            self._send(encode_ack(kind, packet_id))
            return
        if kind == PUBREC:
            # It ends the exchange: the identifier is free.
            self.session.released(packet_id)
        sentence = refusal.sentence if self._connect.request_problem else None
        self.answer(Ack(kind, packet_id, refusal.reason, sentence))


def _forget_unstored(session: Session, packet_id: int, stored: Pending) -> None:
    """Let a QoS 2 message that was not stored be taken in when it is sent again."""
    if stored.cancelled() or stored.exception() is not None:
        session.released(packet_id)
