"""What a connection has sent and the broker has not acknowledged, and what waits behind it."""

import asyncio
from collections import deque
from functools import lru_cache
from typing import NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.contract.refusal import Refusal
from broker.mqtt.kinds import MAX_PACKET
from broker.mqtt.reasons import Reason

HEADER = 16
"""Bytes that a PUBLISH of ours has at most beside its topic and its payload."""

_NO_LIMITS = {"ReceiveMaximum": 65_535, "MaximumPacketSize": MAX_PACKET}
"""What MQTT allows where a broker names no limits of its own."""


Acknowledgement = asyncio.Future[Refusal | None]


class _Message(NamedTuple):
    topic: str
    payload: bytes
    expiry: int | None
    acknowledged: Acknowledgement


class Outgoing:
    """The messages of one connection: at most `window` on their way, and as many that wait.

    paho has such a window too, but does not know how much the broker wants at once.
    """

    def __init__(self, client: paho.Client, window: int) -> None:
        self._client = client
        self._window = window
        self._most = 2 * window
        self._limits = _NO_LIMITS
        self._on_way: dict[int, Acknowledgement] = {}
        self._waiting: deque[_Message] = deque()
        client.max_inflight_messages = client.max_queued_messages = 0

    def limit(self, properties: Properties | None) -> None:
        """Keep to the limits that the broker has told in its CONNACK."""
        self._limits = {name: getattr(properties, name, most) for name, most in _NO_LIMITS.items()}

    def add(self, topic: str, payload: bytes, expiry: int | None) -> Acknowledgement:
        """Send at QoS 1, now or as soon as the broker wants more; `send` does it.

        Raises ConnectionError if too much waits: a broker that acknowledges nothing is as good as none.
        """
        acknowledged: Acknowledgement = asyncio.get_running_loop().create_future()
        most = self._limits["MaximumPacketSize"]
        if len(topic.encode()) + len(payload) + HEADER > most:
            # The broker would end the connection, this time and each time that it is sent again.
            text = f"the payload has {len(payload)} bytes; the broker takes packets of {most} bytes at most"
            acknowledged.set_result(Refusal(Reason.PACKET_TOO_LARGE, text))
        elif len(self._on_way) + len(self._waiting) >= self._most:
            raise ConnectionError("it acknowledges nothing")
        else:
            self._waiting.append(_Message(topic, payload, expiry, acknowledged))
        return acknowledged

    def send(self) -> None:
        """Send what waits, as much as the broker wants at once. Raises ConnectionError."""
        window = min(self._window, self._limits["ReceiveMaximum"])
        while self._waiting and len(self._on_way) < window:
            topic, payload, expiry, acknowledged = self._waiting.popleft()
            properties = None if expiry is None else _expiry(expiry)
            info = self._client.publish(topic, payload, qos=1, properties=properties)
            self._on_way[info.mid] = acknowledged
            if info.rc != paho.MQTT_ERR_SUCCESS:
                raise ConnectionError(paho.error_string(info.rc))

    def acknowledge(self, mid: int, reason: ReasonCode, properties: Properties | None) -> None:
        """Be done with a message; one that is not known was acknowledged before."""
        acknowledged = self._on_way.pop(mid, None)
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(
                Refusal(reason.value, sentence(reason, properties)) if reason.is_failure else None
            )

    def cancel(self) -> None:
        """Cancel every acknowledgement that has not come."""
        for acknowledged in (*self._on_way.values(), *(one.acknowledged for one in self._waiting)):
            acknowledged.cancel()
        self._on_way.clear()
        self._waiting.clear()


def sentence(reason: ReasonCode, properties: Properties | None) -> str:
    """Why something was refused: in the broker's own words where it has some."""
    return str(getattr(properties, "ReasonString", reason))


@lru_cache(maxsize=1_000)
def _expiry(seconds: int) -> Properties:
    # Kept, because paho takes as long to make one as to send a message.
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = seconds
    return properties
