"""One client's connection: packets in, packets out, in the order that MQTT asks for. No I/O, no clock."""

import asyncio
from collections import deque
from functools import partial
from typing import Protocol

import structlog

from broker.embedded.access import Login
from broker.embedded.hub import Hub
from broker.embedded.packets import (
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
    REFUSED_VERSION,
    Ack,
    Connect,
    Disconnect,
    Framer,
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
from broker.embedded.session import Session

log = structlog.get_logger()


class Wire(Protocol):
    """What carries a connection's bytes: a TCP socket or a WebSocket."""

    address: str

    def send(self, data: bytes) -> None:
        """Take bytes for the client; they leave at the end of this turn of the loop."""

    def close(self) -> None:
        """Close once what was sent has left; a second call does nothing."""

    @property
    def congested(self) -> bool:
        """Whether more bytes wait for the client than may."""


class Connection:
    """The broker's side of one connection."""

    def __init__(self, hub: Hub, wire: Wire, *, now: float) -> None:
        self._hub = hub
        self._wire = wire
        self._framer = Framer(hub.settings.max_packet)
        self._session: Session | None = None
        self._login = Login("", None, None, wire.address)
        self._will: Publish | None = None
        self._acks: deque[tuple[asyncio.Future[None] | None, bytes]] = deque()
        self._deadline = now + hub.settings.connect_timeout
        self._patience: float | None = None
        self._closed = False

    def feed(self, data: bytes, now: float) -> None:
        """Take in what the client sent."""
        if self._patience is not None:
            self._deadline = now + self._patience
        try:
            for packet in self._framer.feed(data):
                self._handle(packet, now)
                if self._closed:
                    return
        except UnsupportedVersion as fault:
            self._wire.send(REFUSAL_OF_MQTT5 if fault.level == 5 else encode_connack(REFUSED_VERSION))
            self.close("unsupported_version", str(fault))
        except ProtocolError as fault:
            self.close("protocol_error", str(fault))

    def overdue(self, now: float) -> bool:
        """Whether the client has been silent for longer than its keepalive, or than it may before CONNECT."""
        return now > self._deadline

    def close(self, event: str, reason: str) -> None:
        """Close the connection without the client's leave: its will is published."""
        log.info("client_closed", why=event, reason=reason, client=self._login.client_id)
        self.lost()
        self._wire.close()

    def lost(self) -> None:
        """Note that the connection has ended. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        session, will = self._session, self._will
        self._session, self._will = None, None
        if session is not None:
            self._hub.close_session(session, self)
        if will is not None:
            self._hub.take(will, self._login.client_id)

    def send(self, data: bytes) -> None:
        """Pass a session's bytes on to the client."""
        self._wire.send(data)

    @property
    def congested(self) -> bool:
        """Whether the client does not take what was sent as fast as it comes."""
        return self._wire.congested

    def writable(self) -> None:
        """Go on sending: the client has taken what it was sent."""
        if self._session is not None:
            self._session.proceed()

    def _handle(self, packet: Packet, now: float) -> None:
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
                self._wire.send(PING_ANSWER)
            case Subscribe():
                self._subscribe(packet, session)
            case Unsubscribe():
                self._unsubscribe(packet, session)
            case Disconnect():
                self._leave()
            case Connect():
                raise ProtocolError("a second CONNECT")

    def _connect(self, packet: Connect, now: float) -> None:
        if not packet.client_id and not packet.clean:
            self._refuse(REFUSED_IDENTIFIER, "a persistent session needs a client identifier")
            return
        client_id = packet.client_id or self._hub.fresh_client_id()
        login = Login(client_id, packet.username, packet.password, self._wire.address)
        if not self._hub.access.may_connect(login):
            self._refuse(REFUSED_LOGIN, "the user is unknown or the password is wrong")
            return
        self._login, self._will = login, packet.will
        earlier = self._hub.sessions.get(client_id)
        if earlier is not None and isinstance(earlier.outlet, Connection):
            earlier.outlet.close("taken_over", "another client has connected under the same identifier")
        session, present = self._hub.open_session(client_id, clean=packet.clean)
        self._session = session
        if packet.keepalive:
            self._patience = packet.keepalive * self._hub.settings.keepalive_factor
            self._deadline = now + self._patience
        else:
            self._deadline = float("inf")
        self._wire.send(encode_connack(ACCEPTED, session_present=present))
        session.resume(self)

    def _refuse(self, code: int, reason: str) -> None:
        self._hub.counters.refused_connections += 1
        self._wire.send(encode_connack(code))
        self.close("refused", reason)

    def _leave(self) -> None:
        self._will = None
        self.lost()
        self._wire.close()

    def _hear_ack(self, packet: Ack, session: Session) -> None:
        if packet.kind == PUBREL:
            session.received.discard(packet.packet_id)
            self._acknowledge(None, encode_ack(PUBCOMP, packet.packet_id))
        else:
            session.acknowledged(packet.kind, packet.packet_id)

    def _unsubscribe(self, packet: Unsubscribe, session: Session) -> None:
        for one in packet.filters:
            self._hub.unsubscribe(session, one)
        self._wire.send(encode_unsuback(packet.packet_id))

    def _publish(self, packet: Publish, session: Session) -> None:
        if packet.qos == 2 and packet.packet_id in session.received:
            # Sent again because our PUBREC was lost, or is not due yet: taken in once.
            self._acknowledge(None, encode_ack(PUBREC, packet.packet_id))
            return
        allowed = self._hub.access.may_publish(self._login, packet.topic)
        stored = self._hub.take(packet, self._login.client_id) if allowed else None
        if not allowed:
            log.warning("publish_denied", client=self._login.client_id, topic=packet.topic)
        if packet.qos == 1:
            self._acknowledge(stored, encode_ack(PUBACK, packet.packet_id))
        elif packet.qos == 2:
            session.received.add(packet.packet_id)
            if stored is not None:
                stored.add_done_callback(partial(_forget_unstored, session, packet.packet_id))
            self._acknowledge(stored, encode_ack(PUBREC, packet.packet_id))

    def _acknowledge(self, stored: asyncio.Future[None] | None, ack: bytes) -> None:
        """Send an acknowledgement once what it stands for is stored, and those before it are sent."""
        if stored is None and not self._acks:
            self._wire.send(ack)
            return
        self._acks.append((stored, ack))
        if stored is not None:
            stored.add_done_callback(self._send_acks)

    def _send_acks(self, _done: asyncio.Future[None]) -> None:
        while self._acks and not self._closed:
            stored, ack = self._acks[0]
            if stored is not None and not stored.done():
                return
            if stored is not None and (stored.cancelled() or stored.exception() is not None):
                self.close("not_stored", "a message could not be stored")
                return
            self._acks.popleft()
            self._wire.send(ack)

    def _subscribe(self, packet: Subscribe, session: Session) -> None:
        codes = []
        for wanted, qos in packet.filters:
            allowed = self._hub.access.may_subscribe(self._login, wanted)
            codes.append(self._hub.subscribe(session, wanted, qos) if allowed else FAILURE)
        self._wire.send(encode_suback(packet.packet_id, codes))
        for (wanted, _), code in zip(packet.filters, codes, strict=True):
            if code != FAILURE:
                self._hub.send_retained(session, wanted, code)


def _forget_unstored(session: Session, packet_id: int, stored: asyncio.Future[None]) -> None:
    """Let a QoS 2 message that was not stored be taken in when it is sent again."""
    if stored.cancelled() or stored.exception() is not None:
        session.received.discard(packet_id)
