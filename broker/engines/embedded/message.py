"""A message on its way through the broker, and its place in one session."""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from broker.engines.embedded.packets import encode_publish, encode_text


class RoutedMessage:
    """A message that subscribers get: written once for all of them, whatever their number.

    `born` is when it came, in seconds of running time, so that its age counts over a restart.
    `sender` is the session that published it, and empty for the node's own messages. `row` and `holders`
    belong to the store alone: where it keeps the message, and how many sessions it keeps it for. One that is
    to wait `on_disk` has its payload in memory until the store has it.
    """

    __slots__ = (
        "_frame",
        "_payload",
        "_read",
        "_topic",
        "born",
        "holders",
        "on_disk",
        "qos",
        "retain",
        "row",
        "sender",
        "size",
        "topic",
    )

    def __init__(
        self, topic: str, payload: bytes, *, qos: int, born: float, retain: bool = False, sender: str = ""
    ) -> None:
        self.topic = topic
        self._payload: bytes | None = payload
        self._read: Callable[[int], bytes] | None = None
        self.size = len(payload)
        self.on_disk = False
        self.qos = qos
        self.born = born
        self.retain = retain
        self.sender = sender
        self.row = 0
        self.holders = 0
        self._frame: bytes | None = None
        self._topic: bytes | None = None

    @property
    def payload(self) -> bytes:
        """What it says; read from the disk where it waits there."""
        if self._payload is not None:
            return self._payload
        assert self._read is not None
        return self._read(self.row)

    def for_disk(self) -> "RoutedMessage":
        """The same message as one that is to wait on disk; others may go on with this one."""
        copy = RoutedMessage(
            self.topic, self.payload, qos=self.qos, born=self.born, retain=self.retain, sender=self.sender
        )
        copy.on_disk = True
        return copy

    def leave_memory(self, size: int, read: Callable[[int], bytes]) -> None:
        """Let go of the payload, of `size` bytes: it is in the store, and `read` reads it from its row."""
        self._payload, self._read, self.size, self.on_disk = None, read, size, True

    def come_back(self) -> None:
        """Have the payload in memory again."""
        self._payload, self.on_disk = self.payload, False

    def frame(self, *, retain: bool) -> bytes:
        """The packet that carries it with QoS 0."""
        if retain or self.on_disk:
            return encode_publish(self._encoded_topic(), self.payload, qos=0, retain=retain)
        if self._frame is None:
            self._frame = encode_publish(self._encoded_topic(), self.payload, qos=0)
        return self._frame

    def numbered_frame(self, packet_id: int, *, qos: int, retain: bool, dup: bool = False) -> bytes:
        """The packet that carries it with QoS 1 or 2."""
        return encode_publish(
            self._encoded_topic(), self.payload, qos=qos, retain=retain, dup=dup, packet_id=packet_id
        )

    def _encoded_topic(self) -> bytes:
        if self._topic is None:
            self._topic = encode_text(self.topic)
        return self._topic


class DeliveryStage(enum.IntEnum):
    """How far a message has come on its way to one client; the store keeps these numbers."""

    WAITING = 0
    PUBLISHED = 1
    RELEASED = 2


@dataclass(slots=True, eq=False)
class Delivery:
    """A message in one session. `row` belongs to the store: where it keeps the delivery, 0 if nowhere."""

    message: RoutedMessage
    qos: int
    retain: bool
    stage: DeliveryStage = DeliveryStage.WAITING
    packet_id: int = 0
    row: int = 0

    def frame(self, *, dup: bool = False) -> bytes:
        """The packet that carries it to the client."""
        if self.qos == 0:
            return self.message.frame(retain=self.retain)
        return self.message.numbered_frame(self.packet_id, qos=self.qos, retain=self.retain, dup=dup)
