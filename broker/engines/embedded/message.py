"""A message on its way through the broker, and its place in one session."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from broker.mqtt.fields import write_text
from broker.mqtt.writing import encode_publish

Kind = TypeVar("Kind", bound="RoutedMessage")


class RoutedMessage:
    """A message that subscribers get: written once for all of them, whatever their number.

    `born` is when it came, in seconds of running time, so that its age counts over a restart.
    `sender` is the session that published it, and empty for the node's own messages. `row` and `holders`
    belong to the store alone: where it keeps the message, and how many sessions it keeps it for.
    """

    __slots__ = (
        "_frame",
        "_topic",
        "born",
        "holders",
        "payload",
        "qos",
        "retain",
        "row",
        "sender",
        "size",
        "topic",
    )
    on_disk = False

    def __init__(
        self, topic: str, payload: bytes, *, qos: int, born: float, retain: bool = False, sender: str = ""
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.size = len(payload)
        self.qos = qos
        self.born = born
        self.retain = retain
        self.sender = sender
        self.row = 0
        self.holders = 0
        self._frame: bytes | None = None
        self._topic: bytes | None = None

    def copy(self, kind: type[Kind]) -> Kind:
        """The same message as one that is kept in another way; who has this one may go on with it."""
        copy = kind(
            self.topic, self.payload, qos=self.qos, born=self.born, retain=self.retain, sender=self.sender
        )
        copy.row = self.row
        return copy

    def frame(self, *, retain: bool) -> bytes:
        """The packet that carries it with QoS 0."""
        if retain:
            return encode_publish(self._encoded_topic(), self.payload, qos=0, retain=True)
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
            self._topic = write_text(self.topic)
        return self._topic


class DiskMessage(RoutedMessage):
    """A message that waits on disk for one session: its payload is in memory only until the store has it."""

    __slots__ = ("_held", "_read")
    on_disk = True
    _held: bytes | None

    @property
    def payload(self) -> bytes:
        """What it says, read from the disk."""
        return self._read(self.row) if self._held is None else self._held

    @payload.setter
    def payload(self, payload: bytes) -> None:
        self._held = payload

    def leave_memory(self, size: int, read: Callable[[int], bytes]) -> None:
        """Let go of the payload, of `size` bytes: it is in the store, and `read` reads it from its row."""
        self._held, self._read, self.size = None, read, size

    def frame(self, *, retain: bool) -> bytes:
        return encode_publish(self._encoded_topic(), self.payload, qos=0, retain=retain)


class DeliveryStage(enum.IntEnum):
    """How far a message has come on its way to one client; the store keeps these numbers."""

    WAITING = 0
    PUBLISHED = 1
    RELEASED = 2


@dataclass(slots=True, eq=False)
class Delivery:
    """A message in one session. `row` belongs to the store: where it keeps the delivery, 0 if nowhere.

    `sent` is when it was sent last, by the sessions' clock.
    """

    message: RoutedMessage
    qos: int
    retain: bool
    stage: DeliveryStage = DeliveryStage.WAITING
    packet_id: int = 0
    row: int = 0
    sent: float = 0.0

    def frame(self, *, dup: bool = False) -> bytes:
        """The packet that carries it to the client."""
        if self.qos == 0:
            return self.message.frame(retain=self.retain)
        return self.message.numbered_frame(self.packet_id, qos=self.qos, retain=self.retain, dup=dup)
