"""What is on its way to one client: messages of QoS 1 and 2 that it has not acknowledged."""

from collections.abc import Collection, Iterator
from itertools import chain

from broker.engines.embedded.message import Delivery, DeliveryStage

LAST_PACKET_ID = 65_535


class Window:
    """At most `size` deliveries, each under a packet identifier of its own, in the order they were sent.

    Those that were set aside do not count for `size`: their client has had the time to acknowledge them.
    """

    __slots__ = ("_aside", "_deliveries", "_last_id", "_size")

    def __init__(self, size: int) -> None:
        # `add` looks for a free identifier, and would not end if there were none.
        self._size = min(size, LAST_PACKET_ID - 1)
        self._deliveries: dict[int, Delivery] = {}
        # Most sessions never have any.
        self._aside: dict[int, Delivery] | None = None
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._deliveries) + len(self._aside or ())

    def __iter__(self) -> Iterator[Delivery]:
        return chain((self._aside or {}).values(), self._deliveries.values())

    @property
    def open(self) -> bool:
        """Whether one more may be on its way."""
        return len(self._deliveries) < self._size and len(self) < LAST_PACKET_ID

    def add(self, delivery: Delivery) -> None:
        """Give a delivery a packet identifier and count it as sent."""
        packet_id = self._last_id
        while True:
            packet_id = packet_id % LAST_PACKET_ID + 1
            if self._find(packet_id) is None:
                break
        self._last_id = delivery.packet_id = packet_id
        delivery.stage = DeliveryStage.PUBLISHED
        self._deliveries[packet_id] = delivery

    def restore(self, delivery: Delivery) -> None:
        """Count a delivery as sent by an earlier process, under the identifier it has."""
        self._deliveries[delivery.packet_id] = delivery
        self._last_id = max(self._last_id, delivery.packet_id)

    def set_aside(self, before: float) -> int:
        """Set aside what was sent before then; return how many those are."""
        late = [one for one in self._deliveries.values() if one.sent < before]
        for one in late:
            self._aside = self._aside or {}
            self._aside[one.packet_id] = self._deliveries.pop(one.packet_id)
        return len(late)

    @property
    def aside(self) -> Collection[Delivery]:
        """What was set aside, the oldest first."""
        return (self._aside or {}).values()

    def forget(self, delivery: Delivery) -> None:
        """Do not wait for a delivery any more that was set aside."""
        self._pop(delivery.packet_id)

    def begin_anew(self) -> None:
        """Count everything again: it is sent once more, over a new connection."""
        self._deliveries = {one.packet_id: one for one in self}
        self._aside = None

    def received(self, packet_id: int) -> Delivery | None:
        """Hear PUBREC; the delivery, if this is news."""
        delivery = self._find(packet_id)
        if delivery is None or delivery.qos != 2 or delivery.stage is DeliveryStage.RELEASED:
            return None
        delivery.stage = DeliveryStage.RELEASED
        return delivery

    def acknowledged(self, packet_id: int) -> Delivery | None:
        """Hear PUBACK; the delivery, which is no longer on its way."""
        delivery = self._find(packet_id)
        if delivery is None or delivery.qos != 1:
            return None
        return self._pop(packet_id)

    def completed(self, packet_id: int) -> Delivery | None:
        """Hear PUBCOMP; the delivery, which is no longer on its way."""
        delivery = self._find(packet_id)
        if delivery is None or delivery.stage is not DeliveryStage.RELEASED:
            return None
        return self._pop(packet_id)

    def _find(self, packet_id: int) -> Delivery | None:
        delivery = self._deliveries.get(packet_id)
        return self._aside.get(packet_id) if delivery is None and self._aside is not None else delivery

    def _pop(self, packet_id: int) -> Delivery:
        if packet_id in self._deliveries or self._aside is None:
            return self._deliveries.pop(packet_id)
        return self._aside.pop(packet_id)
