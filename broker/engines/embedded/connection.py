"""One client's connection: packets in, packets out, in the order that MQTT asks for. No I/O, no clock."""

import asyncio
import enum
from collections.abc import Iterator

import structlog
from msgspec.structs import replace

from broker.contract.refusal import Refusal
from broker.engines.embedded.client import Client
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.handshake import Admission, Handshake
from broker.engines.embedded.sessions.will import LastWill
from broker.engines.embedded.wire import Wire
from broker.errors import ProtocolError, UnsupportedVersion
from broker.mqtt import packets
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import V5
from broker.mqtt.reasons import FAILURE, Reason
from broker.mqtt.writing import PONG, encode, encode_within

log = structlog.get_logger()


class Phase(enum.Enum):
    """How far a connection has come: in this order, though any of the others may be the last but one."""

    CONNECTING = enum.auto()
    CHECKING = enum.auto()
    SERVING = enum.auto()
    CLOSED = enum.auto()


class Connection:
    """The broker's side of one connection.

    It waits for CONNECT, may wait for a password to be checked, then serves its session until it is closed.
    """

    __slots__ = (
        "_client",
        "_core",
        "_deadline",
        "_framer",
        "_handshake",
        "_held",
        "_patience",
        "_phase",
        "_unread",
        "_wire",
    )

    def __init__(self, core: BrokerCore, wire: Wire) -> None:
        self._core = core
        self._wire = wire
        self._framer = Framer(core.settings.max_packet, spoken=core.settings.versions)
        self._phase = Phase.CONNECTING
        self._handshake: Handshake | None = None
        self._client: Client | None = None
        self._deadline = core.clock() + core.settings.connect_timeout
        self._patience: float | None = None
        self._unread = 0
        self._held = False

    def feed(self, data: bytes, now: float) -> None:
        """Take in what the client sent."""
        self._core.counters.bytes_received += len(data)
        if self._patience is not None:
            self._deadline = now + self._patience
        if self._phase is Phase.CHECKING and self._handshake is not None:
            # The wire is held, but what it had read already still comes.
            self._handshake.later += data
            return
        self._work(self._framer.feed(data), now)
        # A client that sends but takes nothing would make answers pile up.
        self._unread = self._unread + len(data) if self._wire.congested else 0
        self._consider()

    def overdue(self, now: float) -> bool:
        """Whether the client has been silent for longer than its keepalive, or than it may before CONNECT."""
        if now <= self._deadline:
            return False
        # A client that waits for the node to store its messages has no reason to speak.
        return self._client is None or not self._client.acks

    def close(
        self, event: str, reason: str, code: int = Reason.UNSPECIFIED_ERROR, *, linger: bool = False
    ) -> None:
        """Close the connection without the client's leave: its will is published.

        A client of MQTT 5 that was let in is told the `code` and the reason. With `linger`, one that still
        sends gets time to read them.
        """
        if self._phase is not Phase.CLOSED:
            who = self._client or self._handshake
            client = who.login.client_id if who else ""
            log.info("client_closed", why=event, reason=reason, client=client, address=self._wire.address)
        if self._client is not None and self._client.speaks_mqtt5:
            self._client.tell(packets.Disconnect(code, reason_string=reason))
        self.lost()
        self._wire.close(linger=linger)

    def give_way(self, *, continued: bool) -> None:
        """Close, since another connection has come for the same client.

        Where that goes on with the session, the client is not dead, and its will is not published: as
        Mosquitto has it, so that a will does not follow the state that the new connection tells. MQTT 5 has
        a delay for that, and without one the will is published.
        """
        client = self._client
        if continued and client is not None and not client.speaks_mqtt5:
            self._core.wills.cancel(client.session.name)
        text = "another client has connected under the same identifier"
        self.close("taken_over", text, Reason.SESSION_TAKEN_OVER)

    def lost(self) -> None:
        """Note that the connection has ended. A second call does nothing."""
        if self._phase is Phase.CLOSED:
            return
        self._phase = Phase.CLOSED
        client, self._client, self._handshake = self._client, None, None
        if client is not None:
            client.stop()
            self._core.sessions.close(client.session, self)

    def send(self, data: bytes) -> None:
        """Pass a session's packet on to the client."""
        self._core.counters.packets_sent += 1
        self._wire.send(data)

    @property
    def congested(self) -> bool:
        """Whether the client does not take what was sent as fast as it comes."""
        return self._wire.congested

    @property
    def wants_to_send(self) -> bool:
        """Whether messages wait for the client, or the client for being read again."""
        return self._held or (self._client is not None and self._client.session.waiting > 0)

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, or ends once the client has taken its last bytes."""
        return self._phase is Phase.CLOSED

    @property
    def user(self) -> str | None:
        """The name of the user whose connection this is, while it serves one."""
        return None if self._client is None else self._client.user

    def writable(self) -> None:
        """Go on: the client has taken what it was sent."""
        self._unread = 0
        self._consider()
        if self._client is not None:
            self._client.session.proceed()

    def _work(self, arriving: Iterator[packets.Packet], now: float) -> None:
        """Handle packets, up to one that has to wait for an answer, or that ends the connection."""
        if self._phase is Phase.CLOSED:
            return
        try:
            for packet in arriving:
                self._handle(packet, now)
                if self._phase is not Phase.SERVING:
                    if self._handshake is not None:
                        self._handshake.rest = arriving
                    return
        except UnsupportedVersion as fault:
            self._wire.send(encode(packets.Connack(fault.reason, reason_string=str(fault)), fault.version))
            self.close("unsupported_version", str(fault), linger=True)
        except ProtocolError as fault:
            self._core.counters.protocol_errors += 1
            if self._client is None and self._framer.version == V5:
                self.send(encode(packets.Connack(fault.reason, reason_string=str(fault)), V5))
            self.close("protocol_error", str(fault), fault.reason, linger=True)

    def _consider(self) -> None:
        """Read on, or no further, as what is due to the client allows."""
        settings, client = self._core.settings, self._client
        held = (
            self._phase is Phase.CHECKING
            or (client is not None and len(client.acks) > settings.pending_acks)
            or self._unread > settings.buffer_bytes
        )
        if held is not self._held and self._phase is not Phase.CLOSED:
            self._held = held
            self._wire.hold(held=held)

    def _handle(self, packet: packets.Packet, now: float) -> None:
        self._core.counters.packets_received += 1
        client = self._client
        if client is None:
            if not isinstance(packet, packets.Connect):
                raise ProtocolError("the first packet is not CONNECT")
            self._connect(packet, now)
            return
        match packet:
            case packets.Publish():
                client.publish(packet)
                self._pass_over_late(client)
            case packets.Ack():
                client.hear(packet)
            case packets.Ping():
                self.send(PONG)
                self._pass_over_late(client)
            case packets.Subscribe():
                # SUBACK goes before the retained messages: a client then knows what they belong to.
                subscribed = client.subscribe(packet)
                # MQTT 3.1.1 has one code for all that fails.
                highest = 0xFF if client.speaks_mqtt5 else FAILURE
                codes = bytes(min(one.code, highest) for one in subscribed)
                client.answer(packets.Suback(packet.packet_id, codes))
                client.send_retained(packet, subscribed)
            case packets.Unsubscribe():
                codes = bytes(client.unsubscribe(packet.filters))
                client.answer(packets.Unsuback(packet.packet_id, codes))
            case packets.Disconnect():
                client.take_leave(packet)
                self.lost()
                self._wire.close()
            case packets.Connect():
                raise ProtocolError("a second CONNECT", Reason.PROTOCOL_ERROR)
            case _:
                raise ProtocolError("a client that has not asked for it sends AUTH", Reason.PROTOCOL_ERROR)

    def _pass_over_late(self, client: Client) -> None:
        """A client that speaks of something else is there, and has seen what it was sent."""
        late = client.session.pass_over_late()
        if late:
            log.warning(
                "not_acknowledged",
                client=client.login.client_id,
                messages=late,
                next_step="see whether they are larger than its buffer; other messages pass them",
            )

    def _connect(self, packet: packets.Connect, now: float) -> None:
        # Of no use here, and somebody unknown could have much of it kept.
        packet = replace(packet, user_properties=(), auth_data=None)
        # Nobody is let in yet: a session is made or taken over only once the password is right.
        self._handshake = handshake = Handshake(self._core, packet, self._wire)
        if packet.will is not None:
            self._core.check_topic(packet.will.topic)
        refusal = handshake.refusal()
        if refusal is not None:
            self._refuse(packet, refusal)
            return
        answer = self._core.access.may_connect(handshake.login)
        if isinstance(answer, bool):
            self._settle(handshake, now, allowed=answer)
        else:
            self._phase = Phase.CHECKING
            answer.add_done_callback(self._checked)

    def _checked(self, answer: asyncio.Future[bool]) -> None:
        """Go on with a client whose password has been checked, and with what it sent meanwhile."""
        handshake = self._handshake
        if self._phase is Phase.CLOSED or handshake is None:
            return
        now = self._core.clock()
        self._settle(handshake, now, allowed=not answer.cancelled() and answer.result())
        self._work(handshake.rest, now)
        self._work(self._framer.feed(bytes(handshake.later)), now)
        self._consider()

    def _settle(self, handshake: Handshake, now: float, *, allowed: bool) -> None:
        """Let a client in, or not."""
        match handshake.settle(allowed=allowed):
            case Refusal() as refusal:
                self._refuse(handshake.packet, refusal)
            case Admission() as admission:
                self._serve(handshake, admission, now)

    def _serve(self, handshake: Handshake, admission: Admission, now: float) -> None:
        packet = handshake.packet
        self._phase, self._handshake = Phase.SERVING, None
        self._client = Client(
            self._core,
            handshake.login,
            admission,
            # The password is not kept, and the will is with the others.
            replace(packet, password=None, will=None),
            send=self._send_ack,
            fail=self._not_stored,
        )
        if packet.will is not None:
            will = LastWill(packet.will, username=packet.username, certificate=handshake.login.certificate)
            self._core.wills.keep(admission.session, will)
        # Keepalive 0 asks never to be cut off for silence.
        self._deadline = float("inf")
        if admission.keepalive:
            self._patience = admission.keepalive * self._core.settings.keepalive_factor
            self._deadline = now + self._patience
        self._core.counters.connects += 1
        self._client.answer(handshake.welcome(present=admission.present))
        admission.session.resume(self, packet)

    def _refuse(self, packet: packets.Connect, refusal: Refusal) -> None:
        self._core.counters.connections_refused += 1
        answer = packets.Connack(refusal.reason, reason_string=refusal.sentence)
        data = encode_within(answer, packet.version, packet.maximum_packet)
        if data is not None:
            self.send(data)
        self.close("refused", refusal.sentence, linger=True)

    def _send_ack(self, packet: bytes) -> None:
        self.send(packet)
        if self._held:
            self._consider()

    def _not_stored(self) -> None:
        self.close("not_stored", "a message could not be stored")
