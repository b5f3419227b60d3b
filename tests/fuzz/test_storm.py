"""Whatever is sent to a running node, a well-behaved device gets its answers.

FUZZ_PACKETS and FUZZ_SEED set how much and what; `make fuzz` sends so many that the node reads
a million.
"""

import asyncio
import os

import pytest

from tests.fuzz.conftest import memory
from tests.fuzz.storm import GoodDevice, Storm, packets_received
from tests.support.programs import Program

PACKETS = int(os.environ.get("FUZZ_PACKETS", "60000"))
SEED = int(os.environ.get("FUZZ_SEED", "7"))
GROWTH = 96.0
"""MiB that the node may grow: what it retains and remembers fills up to its bounds."""


@pytest.mark.timeout(max(90, PACKETS // 200))
async def test_a_storm_of_packets_harms_nobody(node: Program) -> None:
    good = GoodDevice(node.port)
    await good.connect()
    await good.ask()
    before = memory(node)
    storm, over = Storm(node.port, PACKETS, SEED), asyncio.Event()
    asking = asyncio.create_task(good.go_on(over))
    try:
        await storm.run()
    finally:
        over.set()
        await asking
        good.leave()
    after = memory(node)
    read = await packets_received(node.port, storm.sent * 3 // 5)
    print(
        f"{storm.sent} packets in {storm.sessions} sessions, {read} of them in order and read;"
        f" {good.answered} of {good.asked} answered,"
        f" slowest {good.slowest:.2f} s; memory {before:.0f} -> {after:.0f} MiB"
    )
    assert storm.sent >= PACKETS
    assert read >= storm.sent * 3 // 5
    assert good.answered == good.asked
    assert node.process.poll() is None
    assert after - before < GROWTH
    assert "Traceback" not in node.stderr, node.stderr[-3000:]
