"""A quick task that sometimes is anything but, and writes down each of its executions."""

import os
import signal
import time
from pathlib import Path

from weighbridge import task


@task(timeout=1.0)
def moody(folder: str, name: str, mood: str = "quick") -> str:
    """Behave as the mood has it, after noting the execution in a folder."""
    with (Path(folder) / name).open("a") as executions:
        executions.write(f"{os.getpid()}\n")
    match mood:
        case "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        case "slow":
            time.sleep(30)
        case "deaf":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGUSR1})
            time.sleep(30)
        case "failing":
            raise ValueError(name)
    return name
