"""Plain Celery tasks, of an application whose broker nobody runs."""

import time

from celery import Celery, Task, shared_task

app = Celery("shop", broker="amqp://127.0.0.1:1//", backend="rpc://")


@app.task(weight="light")
def price(pounds: int, pence: int = 0) -> str:
    """Write a price."""
    return f"£{pounds}.{pence:02}"


@shared_task(bind=True)
def pack(self: "Task[..., str]", parcels: int) -> str:
    """Say how far it is, slowly enough to be heard each time."""
    for number in range(parcels):
        self.update_state(state="PACKING", meta={"current": number + 1, "total": parcels})
        time.sleep(0.15)
    return self.name


@app.task(weight="light", autoretry_for=(ConnectionError,), retry_backoff=True)
def charge(pounds: int) -> None:
    """Ask a bank that is away."""
    raise ConnectionError(f"no bank for {pounds}")


@app.task(weight="light", soft_time_limit=1)
def wait() -> None:
    """Run for longer than it may."""
    time.sleep(60)
