"""Neighbours of a node that only tell their state: `python -m benchmarks.load.neighbours NODE_PORT PORT...`.

Each is a broker at its port, which tells a state once a second as a node does: online, with a long queue.
As soon as the node is there each is a client of its broker too, and hears its state.
"""

import asyncio
import contextlib
import sys

import uvloop

from benchmarks.broker.load import Client
from broker.contract.address import Address
from broker.contract.message import Message
from broker.contract.messages import Load, NodeState, encode
from broker.contract.topics import STATE_FILTER, StateTopic, Weight
from broker.engines.embedded import EmbeddedEngine, EmbeddedSettings

INTERVAL = 1.0
_BUSY = Load(queued=10_000, running=2, slots=2, estimated_wait_ms=3_600_000.0)


async def serve(node_port: int, ports: list[int]) -> None:
    """Open all brokers, say `ready`, and tell their states until killed."""
    engines = {}
    for port in ports:
        engine = EmbeddedEngine(EmbeddedSettings(listen=Address("127.0.0.1", port), connections=100))
        await engine.start(lambda _: None, [])
        engines[f"neighbour-{port}"] = engine
    async with asyncio.TaskGroup() as group:
        for number, (name, engine) in enumerate(engines.items()):
            # Real nodes were not started together.
            group.create_task(_tell(name, engine, INTERVAL * number / len(engines)), name=name)
            group.create_task(_listen(node_port), name=f"{name}: client")
        print("ready", flush=True)
        await asyncio.Event().wait()


async def _tell(name: str, engine: EmbeddedEngine, delay: float) -> None:
    load = {Weight.LIGHT: _BUSY, Weight.MEDIUM: _BUSY}
    state = NodeState(node=name, online=True, version="", birth=1, load=load, backlog_ms=3.6e6)
    while True:
        engine.publish(Message(topic=str(StateTopic(name)), payload=encode(state), retain=True))
        await asyncio.sleep(delay)
        delay = INTERVAL


async def _listen(port: int) -> None:
    client = None
    while client is None:
        with contextlib.suppress(OSError):
            client = await Client.connect(port)
        await asyncio.sleep(0.1)
    await client.subscribe(STATE_FILTER, 0)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
