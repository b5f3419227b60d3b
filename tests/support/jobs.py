"""Jobs for tests that are about something else than reading one."""

from typing import Any

from broker.contract.topics import Weight
from fog_node.jobs.job import Job


def job(key: int = 1, *, weight: Weight = Weight.MEDIUM, **changes: Any) -> Job:
    """A job of the device `me`, received at 0; `changes` are further fields of it."""
    fields: dict[str, Any] = {
        "origin": "",
        "device": "me",
        "id": str(key),
        "task": "echo",
        "payload": b"",
        "reply": f"fog/results/me/{key}",
        "received": 0.0,
    }
    return Job(key=key, weight=weight, **(fields | changes))
