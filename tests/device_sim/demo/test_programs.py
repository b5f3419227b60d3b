import asyncio
from pathlib import Path

import psutil
import pytest

from device_sim.demo import programs as _programs
from device_sim.demo.programs import Program, ProgramFailed
from tests.support.eventually import eventually

READY = "print('ready x mqtt://127.0.0.1:1', flush=True)\n"
IGNORE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
GRANDCHILD = """
import subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
with open("pid", "w") as file:
    file.write(f"{child.pid}")
"""


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> Program:
    (folder / "one_program.py").write_text(source, "utf-8")
    monkeypatch.chdir(folder)
    return Program("one_program", ["--flag"], name="x", logs=folder)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_program_is_ready_and_then_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = READY + "import signal, sys, os; signal.sigwait([signal.SIGTERM]); open('ended', 'w').close()\n"
    source = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n" + source
    one = program(tmp_path, monkeypatch, source)
    await one.start()
    assert one.url == "mqtt://127.0.0.1:1"
    await one.stop()
    assert (tmp_path / "ended").exists()
    await one.stop()


@pytest.mark.parametrize(
    "source", ["raise SystemExit('no Redis here')", "print('what?'); raise SystemExit('no Redis here')"]
)
async def test_a_program_that_ends_early_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    with pytest.raises(ProgramFailed, match=r"ended before it was ready\n  x\| no Redis here"):
        await program(tmp_path, monkeypatch, source).start()


async def test_a_program_that_is_never_ready_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_programs, "READY_TIMEOUT", 0.5)
    with pytest.raises(ProgramFailed, match=r"was not ready in 0.5 s"):
        await program(tmp_path, monkeypatch, "import time; time.sleep(600)").start()


async def test_what_ignores_sigterm_is_killed_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_programs, "STOP_TIMEOUT", 0.2)
    source = IGNORE + GRANDCHILD + READY + "time.sleep(600)\n"
    one = program(tmp_path, monkeypatch, source)
    await one.start()
    grandchild = int((tmp_path / "pid").read_text("utf-8"))
    assert is_alive(grandchild)
    await one.stop()
    await eventually(lambda: not is_alive(grandchild))


async def test_cancelled_while_stopping_it_is_killed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = program(tmp_path, monkeypatch, IGNORE + GRANDCHILD + READY + "time.sleep(600)\n")
    await one.start()
    process, grandchild = one._process, int((tmp_path / "pid").read_text("utf-8"))
    assert process is not None
    stopping = asyncio.create_task(one.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    # To its end: what has not been waited for is told as left when it is collected.
    await asyncio.wait_for(process.wait(), 30)
    await eventually(lambda: not is_alive(grandchild))


async def test_cancelled_while_starting_it_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = program(tmp_path, monkeypatch, GRANDCHILD + "import time; time.sleep(600)")
    starting = asyncio.create_task(one.start())
    await eventually((tmp_path / "pid").exists)
    await eventually(lambda: (tmp_path / "pid").read_text("utf-8").strip())
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    grandchild = int((tmp_path / "pid").read_text("utf-8"))
    await eventually(lambda: not is_alive(grandchild))
