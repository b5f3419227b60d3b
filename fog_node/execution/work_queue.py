"""Gives work to the Celery workers of a node: from the event loop, over one Redis connection."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import kombu.exceptions
import msgspec
import redis.exceptions
import structlog
from celery import Celery
from redis.asyncio.connection import AbstractConnection

from broker.contract.topics import Weight
from fog_node.errors import RedisAway
from fog_node.execution.redis_client import connect, time_limit
from fog_tasks.declaration.task import HARD_LIMIT_GRACE
from fog_tasks.reporting.channel import IDLE
from fog_tasks.reporting.reports import FIELD, STREAM_LENGTH, Report, encode_report, withdrawn_key
from fog_tasks.running.app import queue_name
from fog_tasks.running.celery_message import Shown, TimeLimits, encode_message, ticket_of
from fog_tasks.running.execution import BATCH

log = structlog.get_logger()

AWAY = (redis.exceptions.RedisError, kombu.exceptions.OperationalError, OSError)
"""What is raised where Redis cannot be reached."""

_WITHDRAWN_LIFETIME = 3600
"""Seconds for which Redis keeps that a task is not to be run, should its worker never come to it."""


_LONGEST_SHOWN = 200
"""Characters of what Celery's tools are told of a message of several tasks."""


class Item(msgspec.Struct, frozen=True):
    """One task of a message: what to run, with which arguments, for how many seconds at most.

    `sender` is the device, and its id of the task.
    """

    task: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    timeout: float
    sender: tuple[str, ...] = ()


class WorkMessage(msgspec.Struct, frozen=True):
    """One message for the workers: a ticket, and the tasks that go under it."""

    ticket: str
    weight: Weight
    items: Sequence[Item]


class WorkQueue:
    """The queues of one node's workers. `stream` is where they report to."""

    def __init__(self, redis_url: str, app: Celery, *, node: str, stream: str) -> None:
        self._app = app
        self._node = node
        self._stream = stream
        self._redis = connect(redis_url)
        self._connection: AbstractConnection | None = None
        self._used = 0.0
        self._lock = asyncio.Lock()
        self._revoking: set[asyncio.Future[None]] = set()

    async def send(self, messages: Sequence[WorkMessage]) -> None:
        """Put messages into their queues; raises RedisAway when it is not sure that all of them are there."""
        commands: list[Any] = [
            ("LPUSH", queue_name(self._node, message.weight), self._encode(message)) for message in messages
        ]
        await self._run(commands)

    async def take_back(self, weight: Weight, own: str) -> list[str]:
        """Take the messages from a queue whose tickets begin with `own`; return the tickets.

        Other clients of Celery have messages there, too. What a worker takes meanwhile is that worker's.
        Raises RedisAway.
        """
        name = queue_name(self._node, weight)
        (lying,) = await self._run([("LRANGE", name, 0, -1)])
        tickets = {message: ticket for message in lying if (ticket := ticket_of(message)).startswith(own)}
        removed = await self._run([("LREM", name, 1, message) for message in tickets])
        return [ticket for ticket, count in zip(tickets.values(), removed, strict=True) if count]

    async def keep_open(self) -> None:
        """Use the connection, lest it be closed as idle; called every second. Raises RedisAway."""
        if self._connection is not None and time.monotonic() - self._used > IDLE:
            await self._run([("PING",)])

    async def report(self, report: Report) -> None:
        """Add something to the node's own reports. Raises RedisAway."""
        fields = (FIELD, encode_report(report))
        await self._run([("XADD", self._stream, "MAXLEN", "~", STREAM_LENGTH, "*", *fields)])

    def skip(self, ticket: str, index: int) -> None:
        """Have a batch that was not begun leave one of its tasks out. Does not wait."""
        key = withdrawn_key(ticket)
        self._spawn(self._skip(key, index))

    def revoke(self, ticket: str) -> None:
        """Have the workers drop a message, or end its process if it runs. Does not wait."""
        # Rare, and it reaches every worker: Celery's own client does it, in a thread since it blocks.
        self._spawn(asyncio.to_thread(self._revoke, ticket))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._revoking:
            await asyncio.wait(self._revoking, timeout=5.0)
        await self._disconnect()
        await self._redis.aclose()
        await asyncio.to_thread(self._app.close)

    def _encode(self, message: WorkMessage) -> bytes:
        if len(message.items) == 1:
            item = message.items[0]
            task, arguments, named, sender, shown = item.task, item.arguments, item.named, item.sender, None
            limits = TimeLimits(soft=item.timeout, hard=item.timeout + HARD_LIMIT_GRACE)
        else:
            items = [(one.task, one.arguments, one.named, one.timeout, one.sender) for one in message.items]
            task, arguments, named, sender, shown = BATCH, (items,), {}, (), _shown(message.items)
            # Each task has its own limit inside; this one is for a process that hears nothing any more.
            limits = TimeLimits(soft=None, hard=sum(one.timeout + HARD_LIMIT_GRACE for one in message.items))
        return encode_message(
            task=task,
            arguments=arguments,
            named=named,
            ticket=message.ticket,
            queue=queue_name(self._node, message.weight),
            reply_to=self._stream,
            limits=limits,
            sender=sender,
            shown=shown,
        )

    async def _run(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        async with self._lock:
            try:
                async with time_limit():
                    return await self._execute(commands)
            except AWAY as fault:
                await self._disconnect()
                raise RedisAway(str(fault)) from fault

    async def _execute(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        # Over a connection of its own: redis-py's general way costs as much again for each command.
        pool: Any = self._redis.connection_pool
        now = time.monotonic()
        if self._connection is None:
            self._connection = await pool.get_connection()
        elif now - self._used > IDLE:
            # Opened again where Redis has closed it meanwhile.
            await pool.ensure_connection(self._connection)
        self._used = now
        await self._connection.send_packed_command(self._connection.pack_commands(commands))
        return [await self._connection.read_response() for _ in commands]

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*AWAY):
                await connection.disconnect()
            pool: Any = self._redis.connection_pool
            await pool.release(connection)

    def _spawn(self, work: Any) -> None:
        running = asyncio.ensure_future(work)
        self._revoking.add(running)
        running.add_done_callback(self._revoking.discard)

    async def _skip(self, key: str, index: int) -> None:
        try:
            async with time_limit(), self._redis.pipeline(transaction=False) as pipeline:
                pipeline.sadd(key, index)
                pipeline.expire(key, _WITHDRAWN_LIFETIME)
                await pipeline.execute()
        except AWAY as fault:
            log.warning("redis_unreachable", reason=str(fault), unwithdrawn=key)

    def _revoke(self, ticket: str) -> None:
        try:
            self._app.control.revoke(ticket, terminate=True, signal="SIGKILL")
        except AWAY as fault:
            # What it would have ended goes on; its outcome is no longer waited for.
            log.warning("redis_unreachable", reason=str(fault), unrevoked=ticket)


def _shown(items: Sequence[Item]) -> Shown:
    kinds = Counter(one.task for one in items)
    name = BATCH if len(kinds) > 1 else items[0].task
    counted = ", ".join(f"{kind} x {count}" for kind, count in kinds.items())
    return Shown(name, f"({counted[:_LONGEST_SHOWN]})")
