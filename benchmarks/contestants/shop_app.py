"""An existing Celery application, whose broker and result backend the parent process names."""

import os
from typing import Any

from celery import Celery

from benchmarks.contestants.settings import SETTINGS

BROKER_VARIABLE, BACKEND_VARIABLE = "BENCH_SHOP_BROKER", "BENCH_SHOP_BACKEND"
MODULE = "benchmarks.contestants.shop_app"

app = Celery(
    "shop",
    broker=os.environ.get(BROKER_VARIABLE),
    backend=os.environ.get(BACKEND_VARIABLE),
    set_as_current=False,
)
app.conf.update(SETTINGS, result_expires=600)


@app.task(name="shop.echo")
def echo(value: Any) -> Any:
    """Return the argument."""
    return value
