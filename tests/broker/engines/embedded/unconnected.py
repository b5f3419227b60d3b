"""The embedded broker without sockets or an event loop; its clock stands still until it is moved."""

import math
from pathlib import Path

from broker.contract.identity import Identity
from broker.engines.embedded import Access, AllowAll, EmbeddedSettings
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.routing.router import Sender
from broker.engines.embedded.sessions.grant import GRANTS, Grant
from broker.engines.embedded.sessions.session import Session
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.sqlite_store import SqliteStore
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import V5, V311
from broker.mqtt.packets import Ack, Connect, Packet, Publish


class Outlet:
    """A client that takes all it is sent."""

    congested = False

    def __init__(self, version: int = V311) -> None:
        self.version = version
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def give_way(self, *, continued: bool) -> None: ...

    def packets(self) -> list[Packet]:
        """What was sent, read."""
        return list(Framer(version=self.version).feed(b"".join(self.sent)))

    def publishes(self) -> list[Publish]:
        """The messages that were sent, with their aliases resolved."""
        return [one for one in self.packets() if isinstance(one, Publish)]

    def payloads(self) -> list[bytes]:
        return [one.payload for one in self.publishes()]

    def acks(self) -> list[Ack]:
        return [one for one in self.packets() if isinstance(one, Ack)]


class FakeWire:
    """Takes bytes, and reads or not, as the test says."""

    address = "here"
    certificate: Identity | None = None

    def __init__(self) -> None:
        self.sent = b""
        self.held = self.closed = self.congested = False

    def send(self, data: bytes) -> None:
        self.sent += data

    def close(self, *, linger: bool = False) -> None:  # noqa: ARG002  # the contract's
        self.closed = True

    def hold(self, *, held: bool) -> None:
        self.held = held


class Broker:
    """One life of a broker, on a store that is closed with it if there is a path."""

    def __init__(
        self,
        settings: EmbeddedSettings | None = None,
        path: Path | None = None,
        *,
        now: float = 0.0,
        access: Access | None = None,
    ) -> None:
        self.now = now
        self.store = None if path is None else SqliteStore(path, lambda: None)
        self.core = BrokerCore(
            settings or EmbeddedSettings(),
            access or AllowAll(),
            self.store or SessionStore(),
            running=self.clock,
            clock=self.clock,
        )
        if self.store is not None:
            self.store.restore(self.core)

    def clock(self) -> float:
        return self.now

    def connect(self, name: str, *, clean: bool = False) -> tuple[Session, Outlet]:
        """A client of MQTT 3.1.1."""
        return self._connect(Connect(version=V311, client_id=name), clean, 0.0 if clean else math.inf)

    def connect5(
        self, name: str, *, clean: bool = False, expiry: float = 100.0, **said: int
    ) -> tuple[Session, Outlet]:
        """A client of MQTT 5, and what its CONNECT says."""
        connect = Connect(version=V5, client_id=name, **said)  # type: ignore[arg-type]
        return self._connect(connect, clean, expiry)

    def _connect(self, connect: Connect, clean: bool, expiry: float) -> tuple[Session, Outlet]:
        session, _ = self.core.sessions.open(connect.client_id, clean_start=clean, expiry=expiry)
        outlet = Outlet(connect.version)
        session.resume(outlet, connect)
        return session, outlet

    def leave(self, session: Session) -> None:
        """Let a client go."""
        assert session.outlet is not None
        self.core.sessions.close(session, session.outlet)

    def subscribe(self, session: Session, filter: str, grant: Grant | int = 2) -> None:
        granted = GRANTS[grant] if isinstance(grant, int) else grant
        self.core.router.subscribe(session, filter, granted)

    def publish(self, packet: Publish, sender: str = "sender", identity: Identity | None = None) -> None:
        """Let a client publish."""
        self.core.router.take(packet, Sender(sender, sender, identity))

    def say(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Let the node publish."""
        self.core.router.route(RoutedMessage(topic, payload, qos=qos, born=self.now))

    def die(self) -> None:
        """End without a word; what was committed stays."""
        assert self.store is not None
        self.store.commit()
        self.store.close()
