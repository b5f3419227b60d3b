"""A TCP proxy that a test can cut, as a network between a device and its node; it can be a long one.

As a program, `python -m tests.support.proxy LISTEN_ADDRESS HOST PORT MILLISECONDS`, it is only long.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from typing import Self

CHUNKS = 1_000
"""Chunks that are on their way at once; beyond that the sender waits."""


Admit = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes | None]]


class Proxy:
    """Passes bytes between whoever connects and one port of `host`, until it is cut. Used once.

    Each byte takes `delay` seconds, one way. `admit` gives what it has read of a new connection, or None for
    one that is not let in.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        listen: str = "127.0.0.1",
        delay: float = 0.0,
        admit: Admit | None = None,
    ) -> None:
        self._target = host, port
        self._listen = listen
        self._delay = delay
        self._admit = admit
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.whole = True
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass, self._listen, 0)
        self.url = f"mqtt://{self._listen}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break every connection, and let none through until `mend`."""
        self.whole = False
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self.whole = True

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        if not self.whole:
            writer.transport.abort()
            return
        self.connections += 1
        first = b"" if self._admit is None else await self._admit(reader, writer)
        try:
            if first is None:
                raise ConnectionError("not let in")
            near, far = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        far.write(first)
        ends = {writer, far}
        self._writers |= ends
        await asyncio.gather(_copy(reader, far, self._delay), _copy(near, writer, self._delay))
        self._writers -= ends


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
    travelling: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS)
    async with asyncio.TaskGroup() as group:
        group.create_task(_write(travelling, target))
        data = b"unread"
        while data:
            try:
                data = await source.read(65536)
            except OSError:
                data = b""
            await travelling.put((asyncio.get_running_loop().time() + delay, data))


async def _write(travelling: asyncio.Queue[tuple[float, bytes]], target: asyncio.StreamWriter) -> None:
    """Write each chunk when it is due; nothing is the end. What cannot be written any more is dropped."""
    data = b"unwritten"
    while data:
        due, data = await travelling.get()
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        with contextlib.suppress(OSError):
            target.write(data)
            await target.drain()
    target.close()
    with contextlib.suppress(OSError):
        await target.wait_closed()


async def main(listen: str, host: str, port: str, milliseconds: str) -> None:
    """Be a long way until the process is ended."""
    async with Proxy(int(port), host=host, listen=listen, delay=float(milliseconds) / 1e3) as proxy:
        print(f"ready proxy {proxy.url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
