"""What the shop's workers do."""

import time
from typing import Any

from .celery import app


class BankAway(Exception):
    """Raised when the bank does not answer."""


@app.task
def receipt(order: int, items: dict[str, float]) -> dict[str, Any]:
    """Add up what somebody buys."""
    return {"order": order, "lines": len(items), "total": round(sum(items.values()), 2)}


@app.task(bind=True, autoretry_for=(BankAway,), default_retry_delay=1, max_retries=5)
def charge(self: Any, order: int, amount: float) -> str:
    """Take the money from a bank, which in this example is away the first two times."""
    if amount <= 0:
        raise ValueError(f"order {order} cannot be charged with {amount}")
    if self.request.retries < 2:
        raise BankAway(f"attempt {self.request.retries + 1}")
    return f"charged {amount:.2f} for order {order}"


@app.task(bind=True)
def pack(self: Any, order: int, parcels: int) -> str:
    """Pack parcels one after the other, and say which one it is at."""
    for number in range(1, parcels + 1):
        time.sleep(0.3)
        self.update_state(state="PACKING", meta={"current": number, "total": parcels})
    return f"order {order} is in {parcels} parcels"
