"""How messages are written for a client of MQTT 5, as it has asked for."""

import math
from collections.abc import Callable
from functools import partial

from broker.engines.embedded.message import RoutedMessage
from broker.mqtt.packets import Connect
from broker.mqtt.writing import publish_properties

_NEVER = math.inf
_MOST = 0xFFFF_FFFF
_GRAIN = 0.001
"""Seconds by which sums of times may be wrong: running time is a large number."""

MOST_ALIASES = 50
"""Each keeps a topic in memory for as long as its connection lasts."""


class Writer:
    """Writes for one connection: topic aliases, first come, first served, are its own."""

    __slots__ = ("_aliases", "_clock", "_largest", "_most_aliases")

    def __init__(self, connect: Connect, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._largest = connect.maximum_packet
        self._most_aliases = min(connect.topic_alias_maximum, MOST_ALIASES)
        # None where the client wants none, as most do.
        self._aliases: dict[str, int] | None = {} if self._most_aliases else None

    def write(
        self,
        message: RoutedMessage,
        *,
        qos: int = 0,
        retain: bool = False,
        identifiers: tuple[int, ...] = (),
        dup: bool = False,
        packet_id: int = 0,
    ) -> bytes | None:
        """The packet that carries a message; None if it would be larger than what the client takes."""
        if identifiers or self._aliases is not None or message.expires != _NEVER:
            head = partial(message.encoded, qos=qos, retain=retain, dup=dup, packet_id=packet_id)
            return self._write_for_one(message, identifiers, head)
        if qos or retain:
            properties = message.properties
            data = message.encoded(
                qos=qos, retain=retain, dup=dup, packet_id=packet_id, properties=properties
            )
        else:
            data = message.frame5()
        return data if len(data) <= self._largest else None

    def _write_for_one(
        self, message: RoutedMessage, identifiers: tuple[int, ...], head: Callable[..., bytes]
    ) -> bytes | None:
        """Write what no other receiver gets like this."""
        left = None
        if message.expires != _NEVER:
            # Rounded up, so that a message which comes at once is told with all it was given, and no more.
            left = min(max(0, math.ceil(message.expires - self._clock() - _GRAIN)), _MOST)

        def written(alias: int, *, named: bool) -> bytes | None:
            properties = publish_properties(
                expiry=left, alias=alias, subscription_ids=identifiers, passed=message.passed
            )
            data = head(properties=properties, named=named)
            return data if len(data) <= self._largest else None

        return self._aliased(message.topic, written) or written(0, named=True)

    def _aliased(self, topic: str, written: Callable[..., bytes | None]) -> bytes | None:
        """The packet with an alias for its topic, which comes with the first of them; None without one."""
        aliases = self._aliases
        known = 0 if aliases is None else aliases.get(topic, 0)
        if aliases is None or not (known or len(aliases) < self._most_aliases):
            return None
        alias = known or len(aliases) + 1
        data = written(alias, named=not known)
        if data is not None:
            aliases[topic] = alias
        return data
