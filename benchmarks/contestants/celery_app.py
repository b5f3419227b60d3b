"""The workers of Celery alone: a task that returns its value, over Redis as broker and result backend."""

from typing import Any

from celery import Celery

from benchmarks.contestants.settings import SETTINGS, body, redis_url

app = Celery("bare", broker=redis_url(), backend=redis_url())
app.conf.update(SETTINGS)


@app.task(name="echo")
def echo(value: Any) -> Any:
    """Return the argument."""
    return body("echo", value)


@app.task(name="light_power")
def light_power(value: int) -> int:
    """Compute for about a tenth of a millisecond."""
    return int(body("light_power", value))
