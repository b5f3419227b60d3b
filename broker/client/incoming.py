"""Messages that a broker delivers: each is acknowledged once the receiver has stored it."""

import asyncio
from collections.abc import Callable

from broker.client.encoding import encode_ack
from broker.client.packets import PUBACK, PUBCOMP, PUBREC, Publish
from broker.contract.engine import Receiver
from broker.mqtt.acknowledgements import Acknowledgements


class Incoming:
    """The receiving side of a session. It outlives connections; `begin` gives it the next one.

    A message of QoS 2 is handed over when it comes, acknowledged with PUBREC when it is stored, and known
    until the broker releases it: one that comes again over the next connection is not handed over twice.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._unreleased: dict[int, asyncio.Future[None] | None] = {}
        self._send: Callable[[bytes], None] = lambda _: None
        self._acknowledgements = Acknowledgements(self._send, lambda: None)
        self._held = False

    def hold(self) -> None:
        """Hand over and acknowledge no further message: a lasting session has them for our next life."""
        self._held = True

    def begin(
        self, send: Callable[[bytes], None], fail: Callable[[], None], *, session_present: bool
    ) -> None:
        """Acknowledge over this connection from now on; `fail` has to end it."""
        self.end()
        self._send = send
        self._acknowledgements = Acknowledgements(send, fail)
        if not session_present:
            self._unreleased.clear()

    def end(self) -> None:
        """Acknowledge nothing more over the connection that has ended: the broker will hand it over again."""
        self._acknowledgements.clear()

    def publish(self, packet: Publish) -> None:
        """Take a message. Retained ones, that were there before us, are acknowledged only."""
        if self._held:
            return
        message, packet_id = packet.message, packet.packet_id
        if message.qos == 2:
            self._take_once(packet)
            return
        stored = None if message.retain else self._receiver(message)
        if message.qos:
            self._acknowledgements.add(stored, encode_ack(PUBACK, packet_id))

    def release(self, packet_id: int) -> None:
        """The broker knows that we have a message of QoS 2."""
        self._unreleased.pop(packet_id, None)
        self._send(encode_ack(PUBCOMP, packet_id))

    def _take_once(self, packet: Publish) -> None:
        packet_id = packet.packet_id
        if packet_id not in self._unreleased or _failed(self._unreleased[packet_id]):
            retained = packet.message.retain
            self._unreleased[packet_id] = None if retained else self._receiver(packet.message)
        self._acknowledgements.add(self._unreleased[packet_id], encode_ack(PUBREC, packet_id))


def _failed(stored: asyncio.Future[None] | None) -> bool:
    return stored is not None and stored.done() and (stored.cancelled() or stored.exception() is not None)
