"""One client's connection: packets in, packets out, in the order that MQTT asks for. No I/O, no clock."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial

import structlog

from broker.contract.identity import Identity
from broker.engines.embedded.access import Login
from broker.engines.embedded.decoding import Framer
from broker.engines.embedded.packets import (
    ACCEPTED,
    FAILURE,
    PING_ANSWER,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    REFUSAL_OF_MQTT5,
    REFUSED_IDENTIFIER,
    REFUSED_LOGIN,
    REFUSED_UNAVAILABLE,
    REFUSED_VERSION,
    Ack,
    Connect,
    Disconnect,
    Packet,
    Ping,
    ProtocolError,
    Publish,
    Subscribe,
    Unsubscribe,
    UnsupportedVersion,
    encode_ack,
    encode_connack,
    encode_suback,
    encode_unsuback,
)
from broker.engines.embedded.routing.router import Router, session_name
from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.wire import Wire
from broker.mqtt.acknowledgements import Acknowledgements

log = structlog.get_logger()

LOGGED = 200
"""Characters of a client's words that reach the log."""


class Connection:
    """The broker's side of one connection."""

    __slots__ = (
        "_acks",
        "_answer",
        "_closed",
        "_deadline",
        "_framer",
        "_held",
        "_identity",
        "_later",
        "_login",
        "_packets",
        "_patience",
        "_router",
        "_session",
        "_unread",
        "_will",
        "_wire",
    )

    def __init__(self, router: Router, wire: Wire, *, now: float) -> None:
        self._router = router
        self._wire = wire
        self._framer = Framer(router.settings.max_packet)
        self._session: Session | None = None
        self._login = Login("", None, None, wire.address)
        self._identity: Identity | None = None
        # While a password is being checked: the answer, and what came behind the CONNECT.
        self._answer: asyncio.Future[bool] | None = None
        self._packets: Iterator[Packet] = iter(())
        self._later = bytearray()
        self._will: Publish | None = None
        self._acks = Acknowledgements(self._send_ack, self._not_stored)
        self._deadline = now + router.settings.connect_timeout
        self._patience: float | None = None
        self._unread = 0
        self._held = False
        self._closed = False

    def feed(self, data: bytes, now: float) -> None:
        """Take in what the client sent."""
        self._router.counters.bytes_received += len(data)
        if self._patience is not None:
            self._deadline = now + self._patience
        if self._answer is not None:
            # The wire is held, but what it had read already still comes.
            self._later += data
            return
        self._packets = self._framer.feed(data)
        self._work(now)
        # A client that sends but takes nothing would make answers pile up.
        self._unread = self._unread + len(data) if self._wire.congested else 0
        self._consider()

    def _work(self, now: float) -> None:
        """Handle the packets that are there, up to one that has to wait for an answer."""
        try:
            for packet in self._packets:
                if self._closed:
                    return
                self._handle(packet, now)
                if self._answer is not None:
                    return
        except UnsupportedVersion as fault:
            self._wire.send(REFUSAL_OF_MQTT5 if fault.level == 5 else encode_connack(REFUSED_VERSION))
            self.close("unsupported_version", str(fault))
        except ProtocolError as fault:
            self._router.counters.protocol_errors += 1
            self.close("protocol_error", str(fault))

    def overdue(self, now: float) -> bool:
        """Whether the client has been silent for longer than its keepalive, or than it may before CONNECT."""
        return now > self._deadline and not self._acks

    def close(self, event: str, reason: str) -> None:
        """Close the connection without the client's leave: its will is published."""
        if not self._closed:
            log.info("client_closed", why=event, reason=reason, client=self._login.client_id)
        self.lost()
        self._wire.close()

    def give_way(self, *, continued: bool) -> None:
        """Close, since another connection has come for the same client.

        Where that goes on with the session, the client is not dead, and its will is not published: as
        Mosquitto has it, so that a will does not follow the state that the new connection tells.
        """
        if continued:
            self._will = None
        self.close("taken_over", "another client has connected under the same identifier")

    def lost(self) -> None:
        """Note that the connection has ended. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._acks.clear()
        session, will = self._session, self._will
        self._session, self._will = None, None
        if session is not None:
            self._router.close_session(session, self)
        if will is not None:
            self._publish_will(will)

    def send(self, data: bytes) -> None:
        """Pass a session's packet on to the client."""
        self._router.counters.packets_sent += 1
        self._wire.send(data)

    @property
    def congested(self) -> bool:
        """Whether the client does not take what was sent as fast as it comes."""
        return self._wire.congested

    @property
    def wants_to_send(self) -> bool:
        """Whether messages wait for the client, or the client for being read again."""
        return self._held or (self._session is not None and self._session.waiting > 0)

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, or ends once the client has taken its last bytes."""
        return self._closed

    def writable(self) -> None:
        """Go on: the client has taken what it was sent."""
        self._unread = 0
        self._consider()
        if self._session is not None:
            self._session.proceed()

    def _consider(self) -> None:
        """Read on, or no further, as what is due to the client allows."""
        settings = self._router.settings
        held = (
            self._answer is not None
            or len(self._acks) > settings.pending_acks
            or self._unread > settings.buffer_bytes
        )
        if held is not self._held and not self._closed:
            self._held = held
            self._wire.hold(held=held)

    def _handle(self, packet: Packet, now: float) -> None:
        self._router.counters.packets_received += 1
        session = self._session
        if session is None:
            if not isinstance(packet, Connect):
                raise ProtocolError("the first packet is not CONNECT")
            self._connect(packet, now)
            return
        match packet:
            case Publish():
                self._publish(packet, session)
            case Ack():
                self._hear_ack(packet, session)
            case Ping():
                self.send(PING_ANSWER)
            case Subscribe():
                self._subscribe(packet, session)
            case Unsubscribe():
                self._unsubscribe(packet, session)
            case Disconnect():
                self._leave()
            case Connect():
                raise ProtocolError("a second CONNECT")

    def _connect(self, packet: Connect, now: float) -> None:
        router = self._router
        if not packet.client_id and not packet.clean:
            self._refuse(REFUSED_IDENTIFIER, "a persistent session needs a client identifier")
            return
        if packet.will is not None:
            self._check_topic(packet.will.topic)
        longest = router.settings.keepalive_maximum
        if longest and not 0 < packet.keepalive <= longest:
            # As Mosquitto does: MQTT 3.1.1 has no code for it.
            self._refuse(REFUSED_IDENTIFIER, f"the longest keepalive is {longest} s")
            return
        client_id = packet.client_id or router.fresh_client_id()
        self._login = login = Login(
            client_id, packet.username, packet.password, self._wire.address, self._wire.certificate
        )
        answer = router.access.may_connect(login)
        if isinstance(answer, bool):
            self._settle(packet, now, allowed=answer)
            return
        self._answer = answer
        answer.add_done_callback(partial(self._checked, packet))

    def _checked(self, packet: Connect, answer: asyncio.Future[bool]) -> None:
        """Go on with a client whose password has been checked, and with what it sent meanwhile."""
        self._answer = None
        if self._closed or answer.cancelled():
            return
        now = time.monotonic()
        self._settle(packet, now, allowed=answer.result())
        self._work(now)
        later, self._later = bytes(self._later), bytearray()
        if later and not self._closed:
            self._packets = self._framer.feed(later)
            self._work(now)
        self._consider()

    def _settle(self, packet: Connect, now: float, *, allowed: bool) -> None:
        """Let a client in, or not."""
        router, login = self._router, self._login
        if not allowed:
            router.counters.logins_refused += 1
            self._refuse(REFUSED_LOGIN, "the user is unknown or the password is wrong")
            return
        self._identity = router.access.identity(login)
        name = session_name(login.client_id, self.user)
        if router.paused or not router.has_room_for(name):
            self._refuse(REFUSED_UNAVAILABLE, "the broker takes nobody in now")
            return
        self._will = packet.will
        earlier = router.sessions.get(name)
        if earlier is not None and isinstance(earlier.outlet, Connection):
            earlier.outlet.give_way(continued=not (packet.clean or earlier.clean))
        session, present = router.open_session(name, clean=packet.clean, bridge=packet.bridge)
        if present:
            self._forget_what_is_denied_now(session)
        self._session = session
        self._deadline = float("inf")
        if packet.keepalive:
            self._patience = packet.keepalive * router.settings.keepalive_factor
            self._deadline = now + self._patience
        router.counters.connects += 1
        self.send(encode_connack(ACCEPTED, session_present=present))
        session.resume(self)

    def _forget_what_is_denied_now(self, session: Session) -> None:
        """Drop the subscriptions that a user had the right to when it last was here, and has no more."""
        access = self._router.access
        for one in [one for one in session.subscriptions if not access.may_subscribe(self._login, one)]:
            self._router.unsubscribe(session, one)

    @property
    def user(self) -> str | None:
        """The name of the user whose connection this is, once it was let in."""
        return None if self._identity is None else self._identity.name

    def _refuse(self, code: int, reason: str) -> None:
        self._router.counters.connections_refused += 1
        self.send(encode_connack(code))
        self.close("refused", reason)

    def _leave(self) -> None:
        self._will = None
        self.lost()
        self._wire.close()

    def _hear_ack(self, packet: Ack, session: Session) -> None:
        if packet.kind == PUBREL:
            session.released(packet.packet_id)
            self.send(encode_ack(PUBCOMP, packet.packet_id))
        else:
            session.acknowledged(packet.kind, packet.packet_id)

    def _publish(self, packet: Publish, session: Session) -> None:
        router = self._router
        router.counters.publishes_received += 1
        router.counters.publish_bytes_received += len(packet.payload)
        self._check_topic(packet.topic)
        if packet.qos == 2 and packet.packet_id in session.received:
            # Sent again because our PUBREC was lost, or is not due yet: taken in once.
            self._acks.add(session.received[packet.packet_id], encode_ack(PUBREC, packet.packet_id))
            return
        if router.paused:
            # Without an acknowledgement the client keeps it, and sends it to whoever comes after us.
            router.counters.dropped_paused += packet.qos == 0
            return
        stored = None
        if router.access.may_publish(self._login, packet.topic):
            stored = router.take(packet, self._login.client_id, self._identity)
        else:
            router.counters.dropped_denied += 1
            log.info(
                "publish_denied", client=self._login.client_id, user=self.user, topic=packet.topic[:LOGGED]
            )
        if packet.qos == 1:
            self._acks.add(stored, encode_ack(PUBACK, packet.packet_id))
        elif packet.qos == 2:
            session.heard(packet.packet_id, stored)
            if stored is not None:
                stored.add_done_callback(partial(_forget_unstored, session, packet.packet_id))
            self._acks.add(stored, encode_ack(PUBREC, packet.packet_id))

    def _send_ack(self, packet: bytes) -> None:
        self.send(packet)
        if self._held:
            self._consider()

    def _publish_will(self, will: Publish) -> None:
        router = self._router
        if router.paused:
            router.counters.dropped_paused += 1
        elif router.access.may_publish(self._login, will.topic):
            router.take(will, self._login.client_id, self._identity)
        else:
            router.counters.dropped_denied += 1

    def _not_stored(self) -> None:
        self.close("not_stored", "a message could not be stored")

    def _subscribe(self, packet: Subscribe, session: Session) -> None:
        codes = []
        for wanted, qos in packet.filters:
            allowed = self._fits(wanted) and self._router.access.may_subscribe(self._login, wanted)
            if not allowed:
                self._router.counters.subscriptions_denied += 1
                log.info(
                    "subscription_denied",
                    client=self._login.client_id,
                    user=self.user,
                    filter=wanted[:LOGGED],
                )
            codes.append(self._router.subscribe(session, wanted, qos) if allowed else FAILURE)
        self.send(encode_suback(packet.packet_id, codes))
        for (wanted, _), code in zip(packet.filters, codes, strict=True):
            if code != FAILURE:
                self._router.send_retained(session, wanted, code)

    def _check_topic(self, topic: str) -> None:
        if not self._fits(topic):
            raise ProtocolError(f"{topic[:LOGGED]!r} is longer or deeper than topics may be here")

    def _fits(self, topic: str) -> bool:
        settings = self._router.settings
        return len(topic.encode()) <= settings.topic_bytes and topic.count("/") < settings.topic_levels

    def _unsubscribe(self, packet: Unsubscribe, session: Session) -> None:
        for one in packet.filters:
            self._router.unsubscribe(session, one)
        self.send(encode_unsuback(packet.packet_id))


def _forget_unstored(session: Session, packet_id: int, stored: asyncio.Future[None]) -> None:
    """Let a QoS 2 message that was not stored be taken in when it is sent again."""
    if stored.cancelled() or stored.exception() is not None:
        session.released(packet_id)
