"""Gives tasks to Celery from a thread of its own: Celery's client blocks, the event loop must not."""

import asyncio
import contextlib
import reprlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import kombu.exceptions
import redis.exceptions
import structlog
from celery import Celery

from broker.topics import Weight
from tasks.app import queue_name
from tasks.execution import HARD_LIMIT_GRACE

log = structlog.get_logger()

_AWAY = (kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError)
"""What Celery's client raises when Redis cannot be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One task for Celery: what to run with what, how long it may take, and under which ticket."""

    task: str
    weight: Weight
    ticket: str
    timeout: float
    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)


class CelerySender:
    """Sends orders to the queues of one node, in the order they come."""

    def __init__(self, app: Celery, *, node: str, stream: str) -> None:
        self._app = app
        self._node = node
        self._stream = stream
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="celery-sender")

    async def send(self, orders: Sequence[Order]) -> int:
        """Send orders; return how many were sent before Redis could not be reached."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._send_all, orders)

    def revoke(self, ticket: str) -> None:
        """Have the workers drop a task, or end its process if it runs. Does not wait."""
        self._thread.submit(self._revoke, ticket)

    async def close(self) -> None:
        """Let go of the connections and the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._app.close)
        self._thread.shutdown(wait=False)

    def _send_all(self, orders: Sequence[Order]) -> int:
        sent = 0
        try:
            with self._app.producer_pool.acquire(block=True) as producer:
                for order in orders:
                    self._send(order, producer)
                    sent += 1
        except _AWAY as fault:
            log.warning("celery_unreachable", reason=str(fault), unsent=len(orders) - sent)
        return sent

    def _send(self, order: Order, producer: Any) -> None:
        self._app.send_task(
            order.task,
            order.arguments,
            order.named,
            task_id=order.ticket,
            queue=queue_name(self._node, order.weight),
            reply_to=self._stream,
            ignore_result=True,
            # Fractions of a second are honoured; Celery's annotations are narrower than its code.
            soft_time_limit=order.timeout,  # type: ignore[arg-type]
            time_limit=order.timeout + HARD_LIMIT_GRACE,  # type: ignore[arg-type]
            producer=producer,
            retry=False,
            # What Flower shows; Celery would otherwise walk through the whole of the arguments for it.
            argsrepr=_shown(order.arguments),
            kwargsrepr=_shown(order.named),
        )

    def _revoke(self, ticket: str) -> None:
        try:
            self._app.control.revoke(ticket, terminate=True, signal="SIGKILL")
        except _AWAY as fault:
            # What it would have ended goes on; its outcome is no longer waited for.
            log.warning("celery_unreachable", reason=str(fault), unrevoked=ticket)


def _shown(value: object) -> str:
    with contextlib.suppress(RecursionError):
        return reprlib.repr(value)
    return "…"
