"""Messages that a broker delivers: each is acknowledged once the receiver has stored it."""

from collections.abc import Callable

from broker.contract.engine import Receiver
from broker.contract.message import Message
from broker.contract.refusal import Refusal, Taken
from broker.mqtt.acknowledgements import Acknowledgements
from broker.mqtt.kinds import PUBACK, PUBCOMP, PUBREC
from broker.mqtt.packets import Publish
from broker.mqtt.writing import encode_ack


class Incoming:
    """The receiving side of a session. It outlives connections; `begin` gives it the next one.

    A message of QoS 2 is handed over when it comes, acknowledged with PUBREC when it is stored, and known
    until the broker releases it: one that comes again over the next connection is not handed over twice.
    `read` tells the message of a packet, or that it is none for us: then it is acknowledged only.
    """

    def __init__(self, receiver: Receiver, read: Callable[[Publish], Message | None]) -> None:
        self._receiver = receiver
        self._read = read
        self._unreleased: dict[int, Taken] = {}
        self._send: Callable[[bytes], None] = lambda _: None
        self._acknowledgements = Acknowledgements(self._send_ack, lambda: None)
        self._held = False

    def hold(self) -> None:
        """Hand over and acknowledge no further message: a lasting session has them for our next life."""
        self._held = True

    def begin(
        self,
        send: Callable[[bytes], None],
        fail: Callable[[], None],
        *,
        session_present: bool,
    ) -> None:
        """Acknowledge over this connection from now on; `fail` has to end it."""
        self.end()
        self._send = send
        self._acknowledgements = Acknowledgements(self._send_ack, fail)
        if not session_present:
            self._unreleased.clear()

    def end(self) -> None:
        """Acknowledge nothing more over the connection that has ended: the broker will hand it over again."""
        self._acknowledgements.clear()

    def publish(self, packet: Publish) -> None:
        """Take a message."""
        if self._held:
            return
        if packet.qos == 2:
            self._take_once(packet)
            return
        stored = self._hand_over(packet)
        if packet.qos:
            self._acknowledgements.add(stored, PUBACK, packet.packet_id)

    def release(self, packet_id: int) -> None:
        """The broker knows that we have a message of QoS 2."""
        self._unreleased.pop(packet_id, None)
        self._send(encode_ack(PUBCOMP, packet_id))

    def _send_ack(self, kind: int, packet_id: int, _refusal: Refusal | None) -> None:
        # A broker has no use for the reason: who published is told by an outcome.
        self._send(encode_ack(kind, packet_id))

    def _hand_over(self, packet: Publish) -> Taken:
        message = self._read(packet)
        return None if message is None else self._receiver(message)

    def _take_once(self, packet: Publish) -> None:
        packet_id = packet.packet_id
        if packet_id not in self._unreleased or _failed(self._unreleased[packet_id]):
            self._unreleased[packet_id] = self._hand_over(packet)
        self._acknowledgements.add(self._unreleased[packet_id], PUBREC, packet_id)


def _failed(stored: Taken) -> bool:
    if stored is None or isinstance(stored, Refusal):
        return False
    return stored.done() and (stored.cancelled() or stored.exception() is not None)
