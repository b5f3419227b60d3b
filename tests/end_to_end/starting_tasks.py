"""Tasks that start programs and processes."""

import os
import signal
import subprocess
import time
from pathlib import Path

from weighbridge import task


@task(timeout=20)
def terminated() -> list[int]:
    """End a program and a fork of this process by SIGTERM; return how they ended."""
    program = subprocess.Popen(["sleep", "60"])
    program.terminate()
    ours, theirs = os.pipe()
    forked = os.fork()
    if not forked:
        os.write(theirs, b"!")
        time.sleep(60)
        os._exit(0)
    os.read(ours, 1)
    os.kill(forked, signal.SIGTERM)
    _, status = os.waitpid(forked, 0)
    return [program.wait(), os.waitstatus_to_exitcode(status)]


@task(weight="medium", timeout=20)
def leaning(runs: str) -> str:
    """Note the run, and lean on a program that runs for two seconds."""
    with Path(runs).open("a") as written:
        written.write("run\n")
    subprocess.run(["sleep", "2"], check=True)
    return "done"
