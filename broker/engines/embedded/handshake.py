"""A client's CONNECT, until the client has a session or is turned away."""

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from broker.contract.identity import Identity
from broker.engines.embedded.access import Login
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.sessions.names import session_name
from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.wire import Wire
from broker.mqtt.kinds import V31
from broker.mqtt.packets import Connect, Packet
from broker.mqtt.reasons import Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client is turned away: a reason code of CONNACK, and a sentence for the log."""

    code: Reason
    reason: str


@dataclass(frozen=True, slots=True)
class Admission:
    """The session that a client gets, whether it was there before, and who the client is."""

    session: Session
    present: bool
    identity: Identity | None


class Handshake:
    """One CONNECT. While its password is being checked, `rest` and `later` keep what came behind it."""

    __slots__ = ("_core", "later", "login", "packet", "rest")

    def __init__(self, core: BrokerCore, packet: Connect, wire: Wire) -> None:
        self._core = core
        self.packet = packet
        self.rest: Iterator[Packet] = iter(())
        self.later = bytearray()
        # Only since MQTT 3.1.1 may a client leave it to the broker what it is called.
        unnamed = packet.clean_start and packet.version != V31
        fresh = f"auto-{secrets.token_hex(8)}" if unnamed else ""
        self.login = Login(
            packet.client_id or fresh, packet.username, packet.password, wire.address, wire.certificate
        )

    def refusal(self) -> Refusal | None:
        """What is wrong with the packet, whoever the client is."""
        if not self.login.client_id:
            return Refusal(
                Reason.CLIENT_IDENTIFIER_NOT_VALID,
                "a persistent session, or a client of MQTT 3.1, needs a client identifier",
            )
        longest = self._core.settings.keepalive_maximum
        if longest and not 0 < self.packet.keepalive <= longest:
            # As Mosquitto does: MQTT 3.1.1 has no code for it.
            return Refusal(Reason.CLIENT_IDENTIFIER_NOT_VALID, f"the longest keepalive is {longest} s")
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
        # MQTT 3.1.1 knows sessions that end with their connection, and such that last.
        expiry = 0.0 if packet.clean_start else math.inf
        session, present = core.sessions.open(name, clean_start=packet.clean_start, expiry=expiry)
        # The user may have lost the right to some subscriptions since it was here last.
        for one in [one for one in session.subscriptions if not core.access.may_subscribe(login, one)]:
            core.router.unsubscribe(session, one)
        return Admission(session, present, identity)
