"""What is on its way to one client: messages of QoS 1 and 2 that it has not acknowledged."""

from collections.abc import Iterator

from broker.engines.embedded.message import Delivery, DeliveryStage

LAST_PACKET_ID = 65_535


class Window:
    """At most `size` deliveries, each under a packet identifier of its own, in the order they were sent."""

    __slots__ = ("_deliveries", "_last_id", "_size")

    def __init__(self, size: int) -> None:
        # `add` looks for a free identifier, and would not end if there were none.
        self._size = min(size, LAST_PACKET_ID - 1)
        self._deliveries: dict[int, Delivery] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._deliveries)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._deliveries.values())

    @property
    def open(self) -> bool:
        """Whether one more may be on its way."""
        return len(self._deliveries) < self._size

    def add(self, delivery: Delivery) -> None:
        """Give a delivery a packet identifier and count it as sent."""
        packet_id = self._last_id
        while True:
            packet_id = packet_id % LAST_PACKET_ID + 1
            if packet_id not in self._deliveries:
                break
        self._last_id = delivery.packet_id = packet_id
        delivery.stage = DeliveryStage.PUBLISHED
        self._deliveries[packet_id] = delivery

    def restore(self, delivery: Delivery) -> None:
        """Count a delivery as sent by an earlier process, under the identifier it has."""
        self._deliveries[delivery.packet_id] = delivery
        self._last_id = max(self._last_id, delivery.packet_id)

    def received(self, packet_id: int) -> Delivery | None:
        """Hear PUBREC; the delivery, if this is news."""
        delivery = self._deliveries.get(packet_id)
        if delivery is None or delivery.qos != 2 or delivery.stage is DeliveryStage.RELEASED:
            return None
        delivery.stage = DeliveryStage.RELEASED
        return delivery

    def acknowledged(self, packet_id: int) -> Delivery | None:
        """Hear PUBACK; the delivery, which is no longer on its way."""
        delivery = self._deliveries.get(packet_id)
        if delivery is None or delivery.qos != 1:
            return None
        return self._deliveries.pop(packet_id)

    def completed(self, packet_id: int) -> Delivery | None:
        """Hear PUBCOMP; the delivery, which is no longer on its way."""
        delivery = self._deliveries.get(packet_id)
        if delivery is None or delivery.stage is not DeliveryStage.RELEASED:
            return None
        return self._deliveries.pop(packet_id)
