"""Whatever is sent to a running node, a well-behaved device gets its answers.

FUZZ_PACKETS is how many packets the node is to read, by its own count, and FUZZ_SEED which;
`make fuzz` sends until it has read a million.
"""

import asyncio
import os

import pytest

from tests.fuzz.conftest import USERS, memory
from tests.fuzz.storm import GoodDevice, Storm, Watch, log_in
from tests.support.programs import Program

PACKETS = int(os.environ.get("FUZZ_PACKETS", "10000"))
SEED = int(os.environ.get("FUZZ_SEED", "7"))
GROWTH = 32.0
"""MiB that the node may grow in the first half: buffers, and the retained messages that it may keep."""
LATER_GROWTH = 6.0 if PACKETS >= 500_000 else 20.0
"""MiB that it may grow in the second half, when all that has a bound has come near it.

In a short storm some has not, and a fast machine sends more of it: what is left of dead sessions until
the collector's next round, first of all.
"""


@pytest.mark.timeout(max(90, PACKETS // 200))
async def test_a_storm_of_packets_harms_nobody(node: Program, ws_port: int) -> None:
    good, watch = GoodDevice(node.port), await Watch.begin(node.port)
    await good.connect()
    await good.ask()
    # Each of the two threads that check passwords keeps its 19 MiB from its first check on.
    for client in await asyncio.gather(*(log_in(node.port, user) for user in USERS if user != "good")):
        client.drop()
    before = memory(node)
    storm, over = Storm(node.port, ws_port, SEED), asyncio.Event()
    asking, watching = asyncio.create_task(good.go_on(over)), asyncio.create_task(watch.go_on())
    try:
        # The node reads seven of ten: what follows a wrong one in its session is not looked at.
        await storm.run(lambda: storm.sent >= PACKETS * 3 // 4)
        half = memory(node)
        await storm.run(lambda: watch.read >= PACKETS)
    finally:
        over.set()
        watching.cancel()
        await asking
        good.leave()
        watch.leave()
    after = memory(node)
    print(
        f"{storm.sent} packets, {storm.sent_of_5} of them of MQTT 5, sent in {storm.sessions} sessions"
        f" ({storm.by_websocket} by WebSocket), {watch.read} read by the node's count;"
        f" {good.answered} of {good.asked} answered, slowest {good.slowest:.2f} s;"
        f" memory {before:.1f} -> {half:.1f} at half -> {after:.1f} MiB"
    )
    assert storm.sent >= PACKETS
    # Each session has the one version or the other, by the seed.
    assert 0.4 < storm.sent_of_5 / storm.sent < 0.6
    assert watch.read >= PACKETS
    assert good.answered == good.asked
    assert node.process.poll() is None
    assert half - before < GROWTH
    assert after - half < LATER_GROWTH
    assert "Traceback" not in node.stderr, node.stderr[-3000:]
