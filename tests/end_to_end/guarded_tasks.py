"""Tasks for some roles only."""

from weighbridge import task


@task(roles=("operator",))
def restart() -> str:
    """What only an operator may ask for."""
    return "restarted"
