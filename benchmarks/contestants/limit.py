"""A broker with a client that answers every task at once: nothing on that broker can be faster."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import psutil

from benchmarks.broker import brokers
from benchmarks.children import child, python
from benchmarks.contestants.hand_wired import UNLIMITED
from benchmarks.load.generator import Generator
from benchmarks.parts import Parts


@contextlib.asynccontextmanager
async def broker_limit(engine: str, devices: int) -> AsyncIterator[Generator]:
    """The broker of that engine, the answering client, and connected devices."""
    with contextlib.ExitStack() as stack:
        start = brokers.embedded() if engine == "embedded" else brokers.mosquitto(*UNLIMITED)
        broker = stack.enter_context(start)
        command = python("benchmarks.load.responder", str(broker.port))
        responder = stack.enter_context(child(command, says_ready=True))
        parts = Parts({"broker": [psutil.Process(broker.pid)], "responder": [responder]})
        generator = Generator(parts)
        stack.callback(generator.close)
        await generator.connect(broker.port, devices)
        yield generator


@contextlib.asynccontextmanager
async def generator_limit(devices: int) -> AsyncIterator[Generator]:
    """No broker at all: a server that answers every task on the connection it came by."""
    with _direct() as (port, server):
        generator = Generator(Parts({"server": [server]}))
        try:
            await generator.connect(port, devices)
            yield generator
        finally:
            generator.close()


@contextlib.contextmanager
def _direct() -> Iterator[tuple[int, psutil.Process]]:
    port = brokers.free_port()
    with child(python("benchmarks.load.direct", str(port)), says_ready=True) as server:
        yield port, server
