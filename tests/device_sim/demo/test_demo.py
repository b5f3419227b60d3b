"""The demo with the real nodes, as `make demo` runs it."""

import json
import sys
from asyncio import create_subprocess_exec, subprocess
from pathlib import Path

import psutil

from tests.support.eventually import eventually

ROOT = Path(__file__).parents[3]


async def test_the_demo_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """Light tasks run in the fog, heavy ones in the cloud, and medium ones where their deadline is met."""
    before = {process.pid for process in psutil.process_iter()}
    report = tmp_path / "report.json"
    command = (sys.executable, "-m", "device_sim", "demo", "--seconds", "5", "--report", str(report))
    process = await create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    weights = json.loads(report.read_text("utf-8"))["weights"]
    assert all(one["sent"] == one["done"] > 0 for one in weights.values()), weights
    assert set(weights["light"]["ran_at"]) == {"fog-a", "fog-b"}
    assert set(weights["medium"]["ran_at"]) <= {"fog-a", "fog-b", "cloud"}
    assert "cloud" in weights["heavy"]["ran_at"]
    await eventually(
        lambda: not any(one.pid not in before and _is_ours(one) for one in psutil.process_iter())
    )


def _is_ours(process: psutil.Process) -> bool:
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "weighbridge-demo-" in words
