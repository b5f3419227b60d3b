"""A task that writes each of its executions down outside the system, in one write that can't be torn."""

import os
import time

from weighbridge import task


@task(timeout=20)
def noted(name: str, ledger: str, seconds: float = 0.0) -> str:
    """Note the execution, take some time, and return the name."""
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{name} {time.time():.3f}\n".encode())
    finally:
        os.close(file)
    time.sleep(seconds)
    return name
