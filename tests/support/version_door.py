"""A door to a real broker that notes which version of MQTT is spoken, and may refuse MQTT 5."""

import asyncio

from tests.support.proxy import Proxy

UNSUPPORTED = b"\x20\x03\x00\x84\x00"
"""How MQTT 5 says that it is not spoken."""


class VersionDoor(Proxy):
    """Lets through to the broker at `port`; with a `refusal` not MQTT 5, which it answers so, and closes.

    `spoken` has the version of each CONNECT, 4 for 3.1.1.
    """

    def __init__(self, port: int, refusal: bytes | None = None) -> None:
        super().__init__(port, admit=self._let_in)
        self._refusal = refusal
        self.spoken: list[int] = []

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        # The version is the byte behind the protocol's name.
        connect = await reader.readuntil(b"MQTT") + await reader.readexactly(1)
        self.spoken.append(connect[-1])
        if connect[-1] < 5 or self._refusal is None:
            return connect
        writer.write(self._refusal)
        return None
