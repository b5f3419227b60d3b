"""Fog nodes for a measurement, and a cloud where one is wanted."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from device_sim.demo.programs import Program

SLOTS = 2


@contextlib.asynccontextmanager
async def nodes(
    folder: Path,
    count: int,
    policy: str,
    *,
    cloud: str | None = None,
    slots: int = SLOTS,
    tasks: str | None = None,
) -> AsyncIterator[list[Program]]:
    """Some nodes, the first of which knows all the others."""
    async with contextlib.AsyncExitStack() as stack:
        started: list[Program] = []
        for number in reversed(range(count)):
            name = f"n{number}"
            data = folder / f"{policy}-{count}-{name}"
            words = ["--name", name, "--listen", "127.0.0.1:0", "--data", str(data)]
            words += ["--workers", f"light=1,medium={slots}", "--policy", policy]
            if cloud is not None:
                words += ["--cloud", cloud]
            if tasks is not None:
                words += ["--tasks", tasks]
            for other in started if number == 0 else ():
                words += ["--neighbour", other.url]
            node = Program("fog_node", tuple(words), name=name, logs=folder)
            await node.start()
            stack.push_async_callback(node.stop)
            started.append(node)
        yield started[::-1]


@contextlib.asynccontextmanager
async def cloud_node(folder: Path) -> AsyncIterator[Program]:
    """A cloud that runs two heavy tasks at a time, and nothing else."""
    words = ("--listen", "127.0.0.1:0", "--data", str(folder / "cloud"), "--workers", "heavy=2")
    node = Program("cloud_node", words, name="cloud", logs=folder)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()
