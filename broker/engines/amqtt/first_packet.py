"""Looks at a client's first packet before amqtt, which takes an MQTT 5 CONNECT for one of 3.1.1."""

from typing import Any

_CONNECT = 1
_MQTT_5 = b"\0\4MQTT\5"
_LENGTH_BYTES = 4


class FirstPacket:
    """A reader for amqtt, that begins with what `look` has read already."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._head = b""

    async def look(self) -> bool:
        """Read as far as the version of MQTT; tell whether it is 5. Raises what the reader raises."""
        self._head = await self._reader.read(1)
        for _ in range(_LENGTH_BYTES):
            self._head += await self._reader.read(1)
            if self._head[-1] < 0x80:
                break
        if self._head[0] >> 4 == _CONNECT:
            self._head += await self._reader.read(len(_MQTT_5))
        return self._head.endswith(_MQTT_5)

    async def read(self, n: int = -1) -> bytes:
        """As amqtt's readers: `n` bytes, of which none is too much, since this is asked for packets only."""
        found, self._head = self._head[:n], self._head[n:]
        if len(found) < n:
            found += await self._reader.read(n - len(found))
        return found
