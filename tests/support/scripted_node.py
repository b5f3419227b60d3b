"""A node that answers by script over a real broker: what a device sees of one, without running tasks."""

import asyncio
import contextlib
import socket
from typing import Any, Self
from urllib.parse import urlsplit

import aiomqtt
import msgspec

from broker.contract.messages import ErrorCode, Outcome, Progress, Stage, TaskError, encode
from broker.contract.submissions import Submission, read_submission
from broker.contract.topics import (
    CANCEL_FILTER,
    TASK_FILTER,
    CancelTopic,
    ProgressTopic,
    ResultTopic,
    TaskTopic,
    Weight,
    parse,
)
from broker.errors import BadPayload, BadTopic


class ScriptedNode:
    """Knows `sum`, `echo`, `raw`, `fail` (argument: an error code), `steps`, `garbage`, `silent`, the powers.

    `heard` holds each submission in order, duplicates too; `cancelled` the ids taken back. Used once.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        at_once = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = aiomqtt.Client(parts.hostname or "", parts.port or 1883, socket_options=[at_once])
        self.heard: list[tuple[TaskTopic, bytes]] = []
        self.cancelled: list[str] = []
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        await self._client.subscribe([(TASK_FILTER, 1), (CANCEL_FILTER, 1)])
        self._reader = asyncio.create_task(self._read(), name="scripted node")
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._reader is not None
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
            await self._reader
        with contextlib.suppress(aiomqtt.MqttError):
            await self._client.__aexit__(None, None, None)

    async def answer(self, topic: TaskTopic, value: Any = None, error: ErrorCode | None = None) -> None:
        """Send the outcome of a task, as often as wanted."""
        assert topic.device is not None
        assert topic.id is not None
        outcome = Outcome(
            ok=error is None,
            value=msgspec.UNSET if error else msgspec.Raw(msgspec.json.encode(value)),
            error=TaskError(error, f"scripted: {error}") if error else msgspec.UNSET,
            id=topic.id,
            task=topic.task,
            node="scripted",
            route=("scripted",),
            waited_ms=1.0,
            ran_ms=2.0,
            total_ms=3.0,
        )
        await self._client.publish(str(ResultTopic(topic.device, topic.id)), encode(outcome), qos=1)

    async def _read(self) -> None:
        async for message in self._client.messages:
            try:
                found = parse(str(message.topic))
            except BadTopic:
                continue
            match found:
                case TaskTopic():
                    assert isinstance(message.payload, bytes)
                    self.heard.append((found, message.payload))
                    await self._run(found, message.payload)
                case CancelTopic():
                    self.cancelled.append(found.id)
                    await self.answer(
                        TaskTopic(Weight.AUTO, "any", found.device, found.id), error=ErrorCode.CANCELLED
                    )

    async def _run(self, topic: TaskTopic, payload: bytes) -> None:
        if topic.task == "raw":
            return await self.answer(topic, len(payload))
        try:
            given = read_submission(payload)
        except BadPayload:
            return await self.answer(topic, error=ErrorCode.BAD_PAYLOAD)
        return await self._run_with(topic, given)

    async def _run_with(self, topic: TaskTopic, given: Submission) -> None:
        assert topic.device is not None
        assert topic.id is not None
        match topic.task:
            case "sum":
                await self.answer(topic, sum(given.arguments))
            case "echo":
                await self.answer(topic, {"args": given.arguments, "named": given.named})
            case "light_power" | "medium_power" | "heavy_power":
                await self.answer(topic, 1)
            case "fail":
                await self.answer(topic, error=ErrorCode(given.arguments[0]))
            case "steps":
                for percent in (None, 50.0, 100.0):
                    stage = Stage.RUNNING if percent else Stage.ACCEPTED
                    step = Progress(stage=stage, id=topic.id, task="steps", node="scripted", percent=percent)
                    await self._client.publish(
                        str(ProgressTopic(topic.device, topic.id)), encode(step), qos=1
                    )
                await self.answer(topic, "done")
            case "garbage":
                await self._client.publish(str(ResultTopic(topic.device, topic.id)), b"\xff{", qos=1)
            case "silent":
                pass
            case _:
                await self.answer(topic, error=ErrorCode.UNKNOWN_TASK)
