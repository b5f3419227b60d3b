"""What is on its way to one client: messages of QoS 1 and 2 that it has not acknowledged."""

import sys
from collections import OrderedDict
from collections.abc import Collection, Iterator
from itertools import chain

from broker.engines.embedded.message import Delivery, DeliveryStage
from broker.errors import ProtocolError
from broker.mqtt.reasons import Reason

LAST_PACKET_ID = 65_535

NO_LIMIT = sys.maxsize
"""What clients before MQTT 5 take, as far as they can say."""


class Window:
    """At most `size` deliveries, each under a packet identifier of its own, in the order they were sent.

    Those that were set aside do not count for `size`, since their client has had the time to acknowledge
    them, but for what it takes. `repeating` are those that were sent over an earlier connection, and not yet
    over this one.
    """

    __slots__ = ("_aside", "_deliveries", "_last_id", "_most", "_size", "repeating")

    def __init__(self, size: int) -> None:
        self._resize(size, NO_LIMIT)
        self._deliveries: dict[int, Delivery] = {}
        # Most sessions never have any.
        self._aside: dict[int, Delivery] | None = None
        self.repeating: OrderedDict[int, Delivery] | None = None
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._deliveries) + len(self._aside or ()) + len(self.repeating or ())

    def __iter__(self) -> Iterator[Delivery]:
        return chain((self._aside or {}).values(), self._deliveries.values(), (self.repeating or {}).values())

    @property
    def open(self) -> bool:
        """Whether one more may be on its way."""
        # Where some are still to be repeated, as many are on their way as the client takes.
        return len(self._deliveries) < self._size and (self._aside is None or self._takes_more)

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
        """Set aside what was sent before then, if that lets others pass; return how many those are."""
        if not self._takes_more:
            return 0
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
        """Do not wait for a delivery any more."""
        self._pop(delivery.packet_id)

    def give_up(self, delivery: Delivery) -> None:
        """Likewise for one that the client was sent, for which it still waits itself."""
        self.forget(delivery)
        self._most -= 1

    def begin_anew(self, size: int, most: int) -> None:
        """Go on over a new connection, to a client that takes `most` unacknowledged messages.

        Nothing is on its way then: `again` gives one after the other what has to be sent once more.
        """
        self.repeating = OrderedDict((one.packet_id, one) for one in self) or None
        self._deliveries, self._aside = {}, None
        self._resize(size, most)

    def again(self) -> Delivery | None:
        """The next that is to be sent once more, on its way from now on; None while no more may be."""
        if not self.repeating:
            self.repeating = None
            return None
        packet_id, delivery = next(iter(self.repeating.items()))
        # What was received is not sent, whatever the client takes.
        on_its_way = len(self._deliveries) + len(self._aside or ())
        if delivery.stage is not DeliveryStage.RELEASED and on_its_way >= self._most:
            return None
        self._deliveries[packet_id] = self.repeating.pop(packet_id)
        return delivery

    def knows(self, packet_id: int) -> bool:
        """Whether a delivery is on its way under an identifier."""
        return self._find(packet_id) is not None

    def received(self, packet_id: int) -> Delivery | None:
        """Hear PUBREC; the delivery, if this is news. Raises ProtocolError."""
        delivery = self._find(packet_id)
        if delivery is None or delivery.stage is DeliveryStage.RELEASED:
            return None
        if delivery.qos != 2:
            raise ProtocolError("a message of QoS 1 is acknowledged by PUBREC", Reason.PROTOCOL_ERROR)
        delivery.stage = DeliveryStage.RELEASED
        return delivery

    def refused(self, packet_id: int) -> Delivery | None:
        """Hear a PUBREC that says the message is not wanted; the delivery, which is no longer on its way.

        Raises ProtocolError.
        """
        return None if self.received(packet_id) is None else self._pop(packet_id)

    def acknowledged(self, packet_id: int) -> Delivery | None:
        """Hear PUBACK; the delivery, which is no longer on its way. Raises ProtocolError."""
        delivery = self._find(packet_id)
        if delivery is None:
            return None
        if delivery.qos != 1:
            raise ProtocolError("a message of QoS 2 is acknowledged by PUBACK", Reason.PROTOCOL_ERROR)
        return self._pop(packet_id)

    def completed(self, packet_id: int) -> Delivery | None:
        """Hear PUBCOMP; the delivery, which is no longer on its way. Raises ProtocolError."""
        delivery = self._find(packet_id)
        if delivery is None:
            return None
        if delivery.stage is not DeliveryStage.RELEASED:
            raise ProtocolError("PUBCOMP comes for a message that was not released", Reason.PROTOCOL_ERROR)
        return self._pop(packet_id)

    @property
    def _takes_more(self) -> bool:
        return len(self) < min(self._most, LAST_PACKET_ID)

    def _resize(self, size: int, most: int) -> None:
        # `add` looks for a free identifier, and would not end if there were none.
        self._size, self._most = min(size, most, LAST_PACKET_ID - 1), most

    def _find(self, packet_id: int) -> Delivery | None:
        delivery = self._deliveries.get(packet_id)
        if delivery is None and self._aside is not None:
            delivery = self._aside.get(packet_id)
        if delivery is None and self.repeating:
            delivery = self.repeating.get(packet_id)
        return delivery

    def _pop(self, packet_id: int) -> Delivery:
        if packet_id in self._deliveries:
            return self._deliveries.pop(packet_id)
        some = self._aside if self._aside is not None and packet_id in self._aside else self.repeating
        assert some is not None
        return some.pop(packet_id)
