"""A task without a limit of its own on processor time."""

from weighbridge import task


@task(weight="heavy", timeout=20)
def busy() -> None:
    """Compute for ever."""
    while True:
        pass
