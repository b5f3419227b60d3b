"""How the Celery of both peers is tuned: as strong as it gets for many short tasks."""

import os
from typing import Any

PROCESSES = 2
"""Worker processes of every contestant, the node's light workers included."""

REDIS_VARIABLE = "BENCH_REDIS"
BROKER_PORT_VARIABLE = "BENCH_BROKER_PORT"

SETTINGS: dict[str, Any] = {
    # A worker that may take many messages ahead never waits for Redis between two short tasks.
    "worker_prefetch_multiplier": 64,
    "worker_disable_rate_limits": True,
    "worker_send_task_events": False,
    "worker_enable_remote_control": False,
    # Acknowledged before it runs, as the node's workers do: late acknowledgement costs more.
    "task_acks_late": False,
    "broker_connection_retry_on_startup": True,
}

WORKER_OPTIONS = (
    *("--concurrency", str(PROCESSES)),
    *("--pool", "prefork"),
    *("--loglevel", "ERROR"),
    *("-O", "fair"),
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
)

_BASE = 3_523_523_523


def redis_url() -> str | None:
    """The Redis that the parent process has started, as kombu spells it."""
    return os.environ.get(REDIS_VARIABLE)


def body(task: str, value: Any) -> Any:
    """What the node's built-in task of that name computes."""
    match task:
        case "echo":
            return value
        case "light_power":
            return pow(_BASE, value) % 4
        case _:
            raise ValueError(task)
