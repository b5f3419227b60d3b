"""The peer of the benchmarks: Celery as its own documentation sets it up, with a no-op task."""

import os

from celery import Celery

app = Celery("bare", broker=os.environ.get("BENCH_REDIS"), backend=os.environ.get("BENCH_REDIS"))


@app.task(name="echo")
def echo(value: str) -> str:
    """Return the argument."""
    return value
