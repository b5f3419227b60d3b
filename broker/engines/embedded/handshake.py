"""A client's CONNECT, until the client has a session or is turned away."""

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from broker.contract.identity import Identity
from broker.contract.refusal import Refusal
from broker.engines.embedded.access import Login
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.sessions.names import session_name
from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.wire import Wire
from broker.mqtt.kinds import V5, V31
from broker.mqtt.packets import Connack, Connect, Packet
from broker.mqtt.reasons import Reason
from broker.mqtt.writing import encode_within

NEVER = 0xFFFF_FFFF
"""The session expiry of MQTT 5 that stands for no end."""


def expiry_of(interval: int) -> float:
    """The seconds that a session expiry interval of MQTT 5 stands for."""
    return math.inf if interval == NEVER else interval


@dataclass(frozen=True, slots=True)
class Admission:
    """The session that a client gets, whether it was there before, and who the client is.

    `keepalive` is how many seconds the client may be silent; 0 is for ever.
    """

    session: Session
    present: bool
    identity: Identity | None
    keepalive: int


class Handshake:
    """One CONNECT. While its password is being checked, `rest` and `later` keep what came behind it."""

    __slots__ = ("_core", "later", "login", "packet", "rest")

    def __init__(self, core: BrokerCore, packet: Connect, wire: Wire) -> None:
        self._core = core
        self.packet = packet
        self.rest: Iterator[Packet] = iter(())
        self.later = bytearray()
        # Since MQTT 3.1.1 may a client leave it to the broker what it is called; since 5 it is told the name.
        unnamed = packet.version == V5 or (packet.clean_start and packet.version != V31)
        fresh = f"auto-{secrets.token_hex(8)}" if unnamed else ""
        self.login = Login(
            packet.client_id or fresh, packet.username, packet.password, wire.address, wire.certificate
        )

    def refusal(self) -> Refusal | None:
        """What is wrong with the packet, whoever the client is."""
        if self.packet.auth_method is not None:
            return Refusal(Reason.BAD_AUTHENTICATION_METHOD, "there are user names with passwords only")
        if not self.login.client_id:
            return Refusal(
                Reason.CLIENT_IDENTIFIER_NOT_VALID,
                "a persistent session, or a client of MQTT 3.1, needs a client identifier",
            )
        if self.packet.version != V5 and self._keepalive != self.packet.keepalive:
            # As Mosquitto does: MQTT 3.1.1 has no code for it.
            longest = self._core.settings.keepalive_maximum
            return Refusal(Reason.CLIENT_IDENTIFIER_NOT_VALID, f"the longest keepalive is {longest} s")
        welcome = self.welcome(present=False)
        if encode_within(welcome, self.packet.version, self.packet.maximum_packet) is None:
            return Refusal(Reason.PACKET_TOO_LARGE, "CONNACK is larger than what the client takes")
        return None

    def settle(self, *, allowed: bool) -> Admission | Refusal:
        """Give the client its session, and end the connection that has it now; or turn the client away."""
        core, packet, login = self._core, self.packet, self.login
        if not allowed:
            core.counters.logins_refused += 1
            return Refusal(Reason.BAD_USER_NAME_OR_PASSWORD, "the user is unknown or the password is wrong")
        identity = core.access.identity(login)
        name = session_name(login.client_id, None if identity is None else identity.name)
        if core.paused or not core.sessions.has_room_for(name):
            return Refusal(Reason.SERVER_UNAVAILABLE, "the broker takes nobody in now")
        # Before the session is opened: one that is clean ends with the connection that has had it.
        earlier = core.sessions.get(name)
        if earlier is not None and earlier.outlet is not None:
            earlier.outlet.give_way(continued=not (packet.clean_start or not earlier.expiry))
        session, present = core.sessions.open(name, clean_start=packet.clean_start, expiry=self._expiry)
        # The user may have lost the right to some subscriptions since it was here last.
        for one in [one for one in session.subscriptions if not core.access.may_subscribe(login, one)]:
            core.router.unsubscribe(session, one)
        return Admission(session, present, identity, self._keepalive)

    def welcome(self, *, present: bool) -> Connack:
        """What the client is told of its session and of the broker's limits, as far as it differs."""
        packet, settings = self.packet, self._core.settings
        return Connack(
            session_present=present,
            session_expiry=int(settings.session_expiry) if self._expiry > settings.session_expiry else None,
            receive_maximum=settings.pending_acks,
            maximum_packet=settings.max_packet,
            client_id=None if packet.client_id else self.login.client_id,
            topic_alias_maximum=settings.topic_aliases,
            keepalive=None if self._keepalive == packet.keepalive else self._keepalive,
        )

    @property
    def _expiry(self) -> float:
        """Seconds for which the client wants its session kept."""
        packet = self.packet
        if packet.version == V5:
            return expiry_of(packet.session_expiry)
        # MQTT 3.1.1 knows sessions that end with their connection, and such that last.
        return 0.0 if packet.clean_start else math.inf

    @property
    def _keepalive(self) -> int:
        """The keepalive that the client has asked for, or the longest that there is."""
        asked, longest = self.packet.keepalive, self._core.settings.keepalive_maximum
        return longest if longest and not 0 < asked <= longest else asked
