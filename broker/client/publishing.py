"""The sending side of a session: what is published leaves as far as the broker and its window allow."""

import asyncio

import structlog

from broker.client.outgoing import Outgoing
from broker.client.packet_stream import PacketStream
from broker.client.settings import ClientSettings
from broker.client.translation import encode_message
from broker.contract.message import Message
from broker.errors import EngineError, EngineUnavailable, LinkFull, PublishRefused
from broker.mqtt.kinds import PUBCOMP, PUBREC, PUBREL
from broker.mqtt.packets import Ack, Connack
from broker.mqtt.reasons import FAILURE, Reason, reason_text
from broker.mqtt.writing import encode_ack

log = structlog.get_logger()

FOR_NOW = frozenset((Reason.QUOTA_EXCEEDED, Reason.PACKET_IDENTIFIER_IN_USE))
"""Why a broker refuses a message that it may take later. For all other reasons it would refuse it again."""


class Publishing:
    """It outlives connections to the broker at `place`: `begin` gives it one, `end` takes it away."""

    def __init__(self, settings: ClientSettings, place: str) -> None:
        self._most = settings.queued
        self._place = place
        self._outgoing = Outgoing(settings.inflight)
        self._stream: PacketStream | None = None

    def begin(self, stream: PacketStream, greeting: Connack, version: int) -> None:
        """Send over this connection from now on, to a broker that has accepted us; `proceed` does so."""
        self._stream, self._version, self._largest = stream, version, greeting.maximum_packet
        self._outgoing.restart(
            receive_maximum=greeting.receive_maximum, session_present=greeting.session_present
        )

    def end(self) -> None:
        """Send nothing for now: the connection has ended."""
        self._stream = None

    def publish(self, message: Message) -> asyncio.Future[None]:
        """As BusClient does."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if message.qos == 0:
            self._publish_now(message)
            done.set_result(None)
            return done
        if len(self._outgoing) >= self._most:
            raise LinkFull(f"{self._most} messages wait for {self._place} already")
        self._outgoing.add(message, done)
        self.proceed()
        return done

    def proceed(self) -> None:
        """Send what waits, as far as the window and the broker allow."""
        stream, outgoing = self._stream, self._outgoing
        if stream is None:
            return
        while not stream.congested and (taken := outgoing.next()) is not None:
            entry, again = taken
            if entry.released:
                stream.send(encode_ack(PUBREL, entry.packet_id))
                continue
            packet = encode_message(entry.message, entry.packet_id, self._version, dup=again)
            if self._fits(packet, entry.message):
                stream.send(packet)
            else:
                outgoing.settle(entry.packet_id)

    def acknowledged(self, stream: PacketStream, packet: Ack) -> None:
        """Hear a PUBACK, PUBREC or PUBCOMP."""
        packet_id, failed = packet.packet_id, packet.reason >= FAILURE
        if packet.kind == PUBREC and not failed:
            self._outgoing.release(packet_id)
            stream.send(encode_ack(PUBREL, packet_id))
            return
        # A PUBCOMP that fails says only that the broker has forgotten the message already.
        fault: EngineError | None = None
        if failed and packet.kind != PUBCOMP:
            kind = EngineUnavailable if packet.reason in FOR_NOW else PublishRefused
            fault = kind(f"the broker refused a message: {reason_text(packet.reason)}")
        self._outgoing.settle(packet_id, fault)
        self.proceed()

    def cancel(self) -> None:
        """Cancel what was not acknowledged."""
        self._outgoing.cancel()

    def _publish_now(self, message: Message) -> None:
        stream = self._stream
        if stream is None:
            raise EngineUnavailable(f"the broker at {self._place} is away")
        # Nobody would bound what gathers here: QoS 0 has no window.
        if stream.congested:
            raise EngineUnavailable(f"the broker at {self._place} does not keep up")
        packet = encode_message(message, 0, self._version)
        if self._fits(packet, message):
            stream.send(packet)

    def _fits(self, packet: bytes, message: Message) -> bool:
        """Whether the broker takes packets of this size: it would end the connection, again and again."""
        if len(packet) <= self._largest:
            return True
        log.error("message_too_large", broker=self._place, topic=message.topic, bytes=len(packet))
        return False
