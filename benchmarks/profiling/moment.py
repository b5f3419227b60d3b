"""A task that tells when it ran, on the clock that all processes of a machine share."""

import time

from weighbridge import task


@task
def moment() -> float:
    """Return the moment."""
    return time.monotonic()
