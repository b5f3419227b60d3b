"""A server that answers every task at once, without a broker: what the load generator itself can do.

`python -m benchmarks.load.direct PORT`. It grants every CONNECT and SUBSCRIBE, and answers a PUBLISH with its
PUBACK and a result on the same connection.
"""

import asyncio
import sys
from typing import cast

import uvloop

from benchmarks.load import frames

_OUTCOME = b'{"ok":true}'


class Direct(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._waiting + data
        packets, used = frames.split(data)
        self._waiting = data[used:]
        self._transport.write(b"".join(answer(first, data[start:end]) for first, start, end in packets))


def answer(first: int, body: bytes) -> bytes:
    """What one packet is answered with."""
    match first & 0xF0:
        case 0x10:
            return b"\x20\x02\0\0"
        case 0x80:
            return b"\x90\x03" + body[:2] + b"\x01"
        case frames.PUBLISH:
            topic_end = 2 + int.from_bytes(body[:2], "big")
            device, number = body[2:topic_end].split(b"/")[-2:]
            packet_id = body[topic_end : topic_end + 2]
            result = frames.publish_frame(f"fog/results/{device.decode()}/{number.decode()}", _OUTCOME, 1)
            return frames.puback_frame(packet_id) + result
        case _:
            return b""


async def serve(port: int) -> None:
    """Serve until cancelled."""
    server = await asyncio.get_running_loop().create_server(Direct, "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
