"""A door to a real broker that notes which version of MQTT is spoken, and may refuse MQTT 5."""

import asyncio

from tests.support.proxy import Proxy

LEVEL = 8
"""Where a CONNECT of up to 127 bytes has the version."""


class VersionDoor(Proxy):
    """Lets through to the broker at `port`; with a `refusal` not MQTT 5, which it answers so, and closes.

    `spoken` has the version of each CONNECT, 4 for 3.1.1.
    """

    def __init__(self, port: int, refusal: bytes | None = None) -> None:
        super().__init__(port, admit=self._let_in)
        self._refusal = refusal
        self.spoken: list[int] = []

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        connect = await reader.readexactly(LEVEL + 1)
        self.spoken.append(connect[LEVEL])
        if connect[LEVEL] < 5 or self._refusal is None:
            return connect
        writer.write(self._refusal)
        return None
