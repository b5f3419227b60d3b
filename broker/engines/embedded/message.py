"""A message on its way through the broker, and its place in one session."""

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from broker.mqtt.fields import write_text
from broker.mqtt.properties import NO_PROPERTIES, with_length
from broker.mqtt.writing import encode_publish

Kind = TypeVar("Kind", bound="RoutedMessage")

_NO_TEXT = write_text("")


class RoutedMessage:
    """A message that subscribers get: written once for all of them, whatever their number.

    `born` is when it came, in seconds of running time, so that its age counts over a restart, and `expires`
    when nobody is to get it any more, by the same clock. `passed` are the properties of MQTT 5 that are
    passed on as they came. `sender` is the session that published it, and empty for the node's own messages.
    `row` and `holders` belong to the store alone: where it keeps the message, and how many sessions it keeps
    it for.
    """

    __slots__ = (
        "_frame",
        "_frame5",
        "_topic",
        "born",
        "expires",
        "holders",
        "passed",
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
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        born: float,
        retain: bool = False,
        sender: str = "",
        expires: float = math.inf,
        passed: bytes = b"",
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.size = len(payload)
        self.qos = qos
        self.born = born
        self.retain = retain
        self.sender = sender
        self.expires = expires
        self.passed = passed
        self.row = 0
        self.holders = 0
        self._frame: bytes | None = None
        self._frame5: bytes | None = None
        self._topic: bytes | None = None

    def copy(self, kind: type[Kind]) -> Kind:
        """The same message as one that is kept in another way; who has this one may go on with it."""
        copy = kind(
            self.topic,
            self.payload,
            qos=self.qos,
            born=self.born,
            retain=self.retain,
            sender=self.sender,
            expires=self.expires,
            passed=self.passed,
        )
        copy.row = self.row
        return copy

    def frame(self) -> bytes:
        """The packet of MQTT 3.1.1 that carries it with QoS 0 and without the retain flag."""
        if self._frame is None:
            frame = encode_publish(self._encoded_topic(), self.payload, qos=0)
            if self.on_disk:
                return frame
            self._frame = frame
        return self._frame

    def frame5(self) -> bytes:
        """The packet of MQTT 5 that carries it likewise, with no properties but those passed on."""
        if self._frame5 is None:
            frame = self.encoded(qos=0, properties=self.properties)
            if self.on_disk:
                return frame
            self._frame5 = frame
        return self._frame5

    @property
    def properties(self) -> bytes:
        """What is passed on, as a packet of MQTT 5 has it."""
        passed = self.passed
        return with_length(passed) if passed else NO_PROPERTIES

    @property
    def content_size(self) -> int:
        """Bytes that it takes where it waits: its payload, and what is passed on with it."""
        return self.size + len(self.passed)

    def encoded(
        self,
        *,
        qos: int,
        retain: bool = False,
        dup: bool = False,
        packet_id: int = 0,
        properties: bytes = b"",
        named: bool = True,
    ) -> bytes:
        """A packet that carries it; of MQTT 5 where there are `properties`, which may stand for its topic."""
        return encode_publish(
            self._encoded_topic() if named else _NO_TEXT,
            self.payload,
            qos=qos,
            retain=retain,
            dup=dup,
            packet_id=packet_id,
            properties=properties,
        )

    def _encoded_topic(self) -> bytes:
        if self._topic is None:
            self._topic = write_text(self.topic)
        return self._topic


class DiskMessage(RoutedMessage):
    """A message that waits on disk for one session: its content is in memory only until the store has it."""

    __slots__ = ("_passed", "_passed_size", "_payload", "_read")
    on_disk = True
    _passed: bytes | None
    _payload: bytes | None

    @property
    def payload(self) -> bytes:
        """What it says, read from the disk."""
        return self._read(self.row)[0] if self._payload is None else self._payload

    @payload.setter
    def payload(self, payload: bytes) -> None:
        self._payload = payload

    @property
    def passed(self) -> bytes:
        """What is passed on with it, likewise."""
        if not self._passed_size:
            return b""
        return self._read(self.row)[1] if self._passed is None else self._passed

    @passed.setter
    def passed(self, passed: bytes) -> None:
        self._passed, self._passed_size = passed, len(passed)

    @property
    def content_size(self) -> int:
        """As of any message, and without reading it."""
        return self.size + self._passed_size

    def leave_memory(self, read: Callable[[int], tuple[bytes, bytes]]) -> None:
        """Let go of payload and properties: they are in the store, and `read` reads both from its row."""
        self._payload, self._passed, self._read = None, None, read

    def stay_on_disk(self, size: int, passed_size: int, read: Callable[[int], tuple[bytes, bytes]]) -> None:
        """Leave on disk what an earlier process has kept: so much of a payload, and so much passed on."""
        self.size, self._passed_size = size, passed_size
        self.leave_memory(read)


class DeliveryStage(enum.IntEnum):
    """How far a message has come on its way to one client; the store keeps these numbers."""

    WAITING = 0
    PUBLISHED = 1
    RELEASED = 2


@dataclass(slots=True, eq=False)
class Delivery:
    """A message in one session, with the identifiers of the subscriptions that it answers.

    `row` belongs to the store: where it keeps the delivery, 0 if nowhere. `sent` is when it was sent last,
    by the sessions' clock. `replayed` is what was retained when its client subscribed.
    """

    message: RoutedMessage
    qos: int
    retain: bool
    identifiers: tuple[int, ...] = ()
    stage: DeliveryStage = DeliveryStage.WAITING
    packet_id: int = 0
    row: int = 0
    sent: float = 0.0
    replayed: bool = False
