"""How much a device and all devices may have open, and a task's processor time: settings of a node."""

from pathlib import Path

from broker.contract.messages import ErrorCode, Outcome, TaskError
from tests.support.programs import EVERY_WEIGHT, fog_node
from weighbridge import Device

TIMEOUT = 30.0
OPTIONS = (
    "--tasks",
    "tests/end_to_end/busy_tasks.py",
    "--max-open-per-device",
    "2",
    "--max-backlog",
    "3",
    "--task-cpu",
    "0.2",
)


def refusal(outcome: Outcome) -> tuple[ErrorCode, str]:
    assert isinstance(outcome.error, TaskError), outcome
    return outcome.error.code, outcome.error.message


async def test_what_is_too_much_is_refused_and_what_is_open_goes_on(tmp_path: Path) -> None:
    """Of one device rate-limited, of all together overloaded; a task that is too busy is stopped."""
    with fog_node(tmp_path, *OPTIONS, workers=EVERY_WEIGHT) as node:
        async with (
            Device(node.url, name="a") as one,
            Device(node.url, name="b") as two,
            Device(node.url, name="c") as three,
        ):
            first = [await one.send("medium", "sleep", 1.5) for _ in range(2)]
            code, text = refusal(await (await one.send("light", "sum", [1, 2])).outcome(timeout=TIMEOUT))
            assert (code, "wait for their outcomes" in text) == (ErrorCode.RATE_LIMITED, True)
            third = await two.send("heavy", "sleep", 1.5)
            code, text = refusal(await (await three.send("light", "sum", [1, 2])).outcome(timeout=TIMEOUT))
            assert (code, "as many as may be" in text) == (ErrorCode.OVERLOADED, True)
            assert all([(await task.outcome(timeout=TIMEOUT)).ok for task in (*first, third)])
            assert (await (await three.send("light", "sum", [1, 2])).outcome(timeout=TIMEOUT)).ok
            busy = await three.send("heavy", "busy")
            code, text = refusal(await busy.outcome(timeout=TIMEOUT))
            assert (code, "processor" in text) == (ErrorCode.TIMED_OUT, True)
            assert (await (await three.send("heavy", "sum", [1, 2])).outcome(timeout=TIMEOUT)).ok
