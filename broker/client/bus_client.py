"""A lasting connection to a broker, in MQTT 5 or 3.1.1.

It stays connected: it reconnects with decorrelated jitter, subscribes again, and sends again what was not
acknowledged. What arrives is acknowledged only after its receiver says so. What is to be sent is kept in
memory only: what must survive this process is journaled by whoever publishes it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence

import structlog

from broker.client.back_off import BackOff
from broker.client.incoming import Incoming
from broker.client.packet_stream import CLOSED, PacketStream
from broker.client.publishing import Publishing
from broker.client.returning import Returning
from broker.client.settings import ClientSettings
from broker.client.subscriptions import Subscriptions
from broker.client.translation import to_connect
from broker.contract.engine import Receiver
from broker.contract.message import Message
from broker.contract.url import BrokerUrl
from broker.errors import EngineUnavailable, ProtocolError
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import PUBREL, V5, V311
from broker.mqtt.packets import (
    Ack,
    Connack,
    Disconnect,
    Packet,
    Pong,
    Publish,
    Suback,
    Unsuback,
)
from broker.mqtt.reasons import Reason, reason_text
from broker.mqtt.writing import LEAVE, encode
from broker.security.certificates import client_context

log = structlog.get_logger()

NOT_LET_IN = (
    "it has closed the connection instead of answering CONNECT; if it lets in certificates only,"
    " --cert and --key have to be there, signed by its authority (its --ca), and not be out of date"
)
"""What is left to say where a broker by TLS has closed without a word."""

LEAVE_TIMEOUT = 1.0
"""Seconds that a broker gets to send what is left, and to close a connection that we have left."""


class BusClient:
    """One lasting connection to a broker. Used once: started, then stopped.

    `up` is set while the broker has accepted us and we have subscribed; `on_up` is called each time, and when
    it has taken note of other filters; `on_rival` when another client seems to go by our identifier and to
    have taken the connection.
    """

    def __init__(self, url: str, settings: ClientSettings) -> None:
        self.url = BrokerUrl.parse(url)
        self._settings = settings
        # What it has not refused; what is spoken now; whether MQTT 5 got no answer but the connection's end.
        self._newest = self._version = V311 if settings.mqtt == 3 else V5
        self._unanswered = False
        self.up = asyncio.Event()
        self.on_up: Callable[[], None] = lambda: None
        self.on_rival: Callable[[], None] = lambda: None
        self._taken_over = self._has_changed = False
        self._refused: str | None = None
        self._subscriptions = Subscriptions(settings, ())
        # Who waits until the broker knows all filters.
        self._told: list[asyncio.Future[None]] = []
        self._publishing = Publishing(settings, self.url.place)
        # The connection once it is open, and once the broker has accepted it.
        self._opened: PacketStream | None = None
        self._stream: PacketStream | None = None
        self._staying: asyncio.Task[None] | None = None
        self._stopping = False
        self._returning = Returning(BackOff(settings.back_off_base, settings.back_off_cap))

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and we have subscribed."""
        return self.up.is_set()

    @property
    def _may_fall_back(self) -> bool:
        return self._version == V5 and self._settings.mqtt is None

    def start(self, receiver: Receiver, heard: Sequence[str] | Subscriptions) -> None:
        """Begin to connect, and from then on stay connected until `stop`. Raises SettingsError."""
        self._loop = asyncio.get_running_loop()
        self._incoming = Incoming(receiver, lambda packet: self._subscriptions.message(packet))  # noqa: PLW0108
        self._subscriptions = (
            heard if isinstance(heard, Subscriptions) else Subscriptions(self._settings, heard)
        )
        tls = client_context(self._settings.tls) if self.url.tls else None
        self._staying = self._loop.create_task(
            self._stay_connected(tls), name=f"{self._settings.client_id}: stay connected"
        )

    async def wait_connected(self, timeout: float) -> None:
        """Return once connected; raises EngineUnavailable after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self.up.wait()
        except TimeoutError:
            reason = f": {self._refused}" if self._refused else ""
            raise EngineUnavailable(
                f"no MQTT broker answered at {self.url.place} within {timeout:g} s{reason}"
            ) from None

    async def take_no_more(self) -> None:
        """Take no further messages in, now and after a reconnection.

        They stay with the broker where it keeps our session. Where it does not, it is asked for no more, and
        what was on its way to us has been handed over when this returns: nobody else would get it.
        """
        if self._settings.persistent:
            self._incoming.hold()
            return
        # Also of a connection that comes meanwhile.
        self._subscriptions.hear(())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT):
                await self.tell()

    async def tell(self) -> None:
        """Return once the broker knows what we hear now; one that is away is told when it is back."""
        stream = self._stream
        if stream is None:
            return
        told = self._loop.create_future()
        self._told.append(told)
        self._tell(stream)
        await asyncio.wait((told, stream.lost), return_when=asyncio.FIRST_COMPLETED)

    def become(self, settings: ClientSettings, subscriptions: Subscriptions) -> None:
        """Go on as another client of the broker, with what is still to be sent."""
        self._settings, self._subscriptions = settings, subscriptions
        self._has_changed = True
        self._unanswered = False
        if self._opened is not None:
            self._opened.close(LEAVE, "we come back as another client")

    def publish(self, message: Message) -> asyncio.Future[None]:
        """Send a message; the future is done when the broker has acknowledged it (QoS 0: when sent).

        It fails with PublishRefused or EngineUnavailable where a broker with MQTT 5 does not take it.
        With QoS 1 and 2 it is kept while the broker is away, and before `start`. Raises LinkFull when as
        much is kept as may be, EngineUnavailable for a QoS 0 message that nobody can take now.
        """
        return self._publishing.publish(message)

    async def stop(self) -> None:
        """Disconnect in good order, without a will. A second call does nothing."""
        # First, or the loss of this connection would begin the next one.
        self._stopping = True
        staying, self._staying = self._staying, None
        if staying is None:
            return
        if self._stream is not None:
            self._stream.close(LEAVE, "we have left it")
            await asyncio.wait({self._stream.lost}, timeout=LEAVE_TIMEOUT)
        staying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await staying
        self._publishing.cancel()

    async def _stay_connected(self, tls: ssl.SSLContext | None) -> None:
        while True:
            newest = self._newest
            self._version = V311 if self._unanswered else newest
            self._taken_over = self._has_changed = self._unanswered = False
            try:
                self._refused = await self._converse(tls)
            except TimeoutError:
                self._refused = "it does not answer"
                self._unanswered = False
            except (OSError, ValueError) as fault:
                self._refused = str(fault)
            if self._stopping:
                return
            rival = self._returning.ended(self._loop.time(), taken_over=self._taken_over)
            if rival and not self._has_changed:
                self.on_rival()
            # No reason for a pause: it has only said, be it by closing, which version it speaks, or we are
            # another client now.
            if self._newest != newest or self._unanswered or self._has_changed:
                continue
            pause = self._returning.pause()
            log.info("broker_away", broker=self.url.place, reason=self._refused, next_try_s=round(pause, 2))
            await asyncio.sleep(pause)

    async def _converse(self, tls: ssl.SSLContext | None) -> str:
        """Connect and stay so; returns why the connection has ended. Raises OSError, ValueError."""
        timeout = self._settings.connect_timeout
        framer = Framer(self._settings.largest, version=self._version)
        stream = PacketStream(self._greeted, self._publishing.proceed, framer)
        async with asyncio.timeout(timeout):
            await self._open(stream, tls)
        self._opened, self._has_changed = stream, False
        self._unanswered = self._may_fall_back
        try:
            stream.send(encode(to_connect(self.url, self._settings, self._version), self._version))
            await self._up_or_lost(stream, timeout)
            reason = await stream.lost
            # With TLS 1.3 the handshake is over here before the broker looks at our certificate.
            return NOT_LET_IN if reason == CLOSED and tls is not None and self._stream is None else reason
        finally:
            self._opened = self._stream = None
            self.up.clear()
            self._incoming.end()
            self._publishing.end()
            stream.abort("it was given up")

    async def _open(self, stream: PacketStream, tls: ssl.SSLContext | None) -> None:
        if self.url.unix:
            await self._loop.create_unix_connection(lambda: stream, self.url.host)
        else:
            await self._loop.create_connection(lambda: stream, self.url.host, self.url.port, ssl=tls)

    async def _up_or_lost(self, stream: PacketStream, timeout: float) -> None:
        """Return once the connection serves or has ended; one that does neither in time is given up."""
        up = self._loop.create_task(self.up.wait(), name="up")
        try:
            async with asyncio.timeout(timeout):
                await asyncio.wait((up, stream.lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()

    def _greeted(self, stream: PacketStream, packet: Packet) -> None:
        """Take the first packet of a connection."""
        if not isinstance(packet, Connack):
            raise ProtocolError("its first packet is not CONNACK")
        self._unanswered = False
        if packet.reason:
            if packet.reason == Reason.UNSUPPORTED_PROTOCOL_VERSION and self._may_fall_back:
                self._newest = V311
            stream.abort(reason_text(packet.reason))
            return
        self._stream = stream
        stream.on_packet = self._take
        stream.keep_alive(self._settings.keepalive if packet.keepalive is None else packet.keepalive)
        self._publishing.begin(stream, packet, self._version)
        self._incoming.begin(
            stream.send,
            lambda: stream.close(LEAVE, "a message from it could not be stored"),
            session_present=packet.session_present,
        )
        self._subscriptions.begin(packet, self._version)
        # Who hears nothing is up with CONNACK, and who subscribes once it is sure to hear.
        self._tell(stream)
        self._publishing.proceed()

    def _tell(self, stream: PacketStream) -> None:
        """Tell the broker what it does not know yet, one packet after the other."""
        if self._subscriptions.answers_due:
            return
        packets = self._subscriptions.next()
        for packet in packets:
            stream.send(encode(packet, self._version))
        if packets:
            return
        told, self._told = self._told, []
        for one in told:
            if not one.done():
                one.set_result(None)
        self._is_up()

    def _take(self, stream: PacketStream, packet: Packet) -> None:
        match packet:
            case Publish():
                self._incoming.publish(packet)
            case Ack():
                if packet.kind == PUBREL:
                    self._incoming.release(packet.packet_id)
                else:
                    self._publishing.acknowledged(stream, packet)
            case Suback() | Unsuback():
                self._answered(stream, packet)
            case Disconnect(reason):
                self._taken_over = reason == Reason.SESSION_TAKEN_OVER
                stream.abort(reason_text(reason))
            case Pong():
                pass
            # A broker that greets twice has lost count of its clients; the session cannot be trusted.
            case Connack():
                raise ProtocolError("it has sent a second CONNACK")
            case _:
                raise ProtocolError(f"it has sent {packet}")

    def _answered(self, stream: PacketStream, packet: Suback | Unsuback) -> None:
        try:
            refused = self._subscriptions.answered(packet)
        except KeyError:
            raise ProtocolError(f"it has sent {packet}, and nobody has asked") from None
        if refused:
            log.error("subscription_refused", broker=self.url.place, filters=refused)
        self._tell(stream)

    def _is_up(self) -> None:
        if not self.up.is_set():
            self._refused = None
            self._returning.up(self._loop.time())
            log.info("broker_reached", broker=self.url.place, mqtt5=self._version == V5)
            self.up.set()
        self.on_up()
