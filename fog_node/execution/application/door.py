"""The node's side of the door to a Celery application: a unix socket to which the door's program connects."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import structlog

from broker.contract.messages import ErrorCode
from broker.programs.sockets import prepare_folder
from fog_node.execution.application.queue import ApplicationQueue
from fog_node.execution.recovery import OnReport
from fog_node.execution.rounds import Rounds
from fog_node.jobs.job import Job
from fog_tasks.application.application_task import ApplicationTask
from fog_tasks.application.orders import (
    HEADER,
    Order,
    Revoke,
    Send,
    Trouble,
    Word,
    frame,
    read_words,
)
from fog_tasks.declaration.task import Task
from fog_tasks.reporting.reports import Done, Failed

log = structlog.get_logger()

PATIENCE = 10.0
"""Seconds that the door's program gets to import the application, until it is told that it is not there."""


class ApplicationDoor:
    """The workers of an application, as the node sees them. `on_report` hears what becomes of each job.

    `first_key` is that of the first job of this life: those before it may be with the application already.
    """

    def __init__(
        self,
        socket: Path,
        tasks: Mapping[str, Task[..., Any]],
        queue: ApplicationQueue,
        *,
        first_key: int,
        on_report: OnReport,
    ) -> None:
        self._socket = socket
        self._tasks = tasks
        self._queue = queue
        self._first_key = first_key
        self._on_report = on_report
        self._rounds = Rounds()
        self._revoked: list[Order] = []
        self._holding = False
        self._program: asyncio.StreamWriter | None = None
        self._alone_since = time.monotonic()
        self._trouble: dict[str, str] = {}

    def takes(self, task: str) -> bool:
        """Whether it is a task of the application."""
        return isinstance(self._tasks.get(task), ApplicationTask)

    def submit(self, job: Job) -> None:
        """Let a job run as soon as its turn comes."""
        self._queue.push(job, known=job.key < self._first_key)
        self._rounds.wake()

    def withdraw(self, job: Job) -> None:
        """Take a job back, whether it waits or runs; nothing more is reported of it."""
        ticket = self._queue.withdraw(job)
        if ticket is not None:
            task = self._tasks.get(job.task)
            terminate = isinstance(task, ApplicationTask) and task.terminate
            self._revoked.append(Revoke(ticket=ticket, terminate=terminate))
            self._rounds.wake()

    def hold(self) -> None:
        """Give no further jobs to the application; what is with it stays there for the next life."""
        self._holding = True

    def start_anew(self) -> None:
        """Have the program end, and so started again: the application's modules have changed."""
        if self._program is not None:
            self._program.close()

    def trouble(self, now: float) -> list[str]:
        """What is wrong now, in words."""
        found = list(self._trouble.values())
        if self._program is None and now - self._alone_since > PATIENCE:
            found.append("the program that speaks to it does not come up; the log says why")
        return [f"the Celery application: {text}" for text in found]

    async def run(self) -> NoReturn:
        """Serve the door's program, again and again, until cancelled. Raises SettingsError, OSError."""
        prepare_folder(self._socket)
        self._socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, self._socket)
        self._socket.chmod(0o600)
        try:
            await server.serve_forever()
        finally:
            self._socket.unlink(missing_ok=True)
            self._rounds.close()
        raise AssertionError("serves until it is cancelled")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._program is not None:
            writer.close()
            return
        self._program = writer
        sending = asyncio.create_task(self._send_orders(writer), name="door: orders")
        # However it ends: a door that hears nothing is to be another's.
        sending.add_done_callback(lambda _: writer.close())
        self._rounds.wake()
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(HEADER), "big")
                self._hear(read_words(await reader.readexactly(size)))
        except (asyncio.IncompleteReadError, OSError):
            log.info("celery_door_closed", with_it=self._queue.sent)
        except msgspec.MsgspecError as fault:
            log.error("celery_door_unreadable", reason=str(fault), next_step="its program connects again")
        finally:
            sending.cancel()
            writer.close()
            self._program, self._alone_since = None, time.monotonic()
            # The next one says what it meets itself.
            self._trouble.clear()
            self._revoked.clear()
            self._queue.door_gone()

    async def _send_orders(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                await self._rounds.due()
                self._expire()
                orders = self._orders()
                if orders:
                    self._rounds.begin(len(orders))
                    writer.write(frame(orders))
                    await writer.drain()

    def _orders(self) -> list[Order]:
        orders, self._revoked = self._revoked, []
        if not self._holding:
            for ticket, job, known in self._queue.take():
                task = self._tasks.get(job.task)
                if isinstance(task, ApplicationTask):
                    orders.append(_order(ticket, job, task, known=known))
                else:
                    self._queue.ended(ticket)
                    gone = f"its application has no task {job.task!r} any more"
                    self._on_report(job, Failed(ticket, ErrorCode.UNKNOWN_TASK, gone, 0.0), time.monotonic())
        return orders

    def _hear(self, words: list[Word]) -> None:
        now = time.monotonic()
        for word in words:
            match word:
                case Trouble(about=about, text=text):
                    self._note(about, text)
                case Done() | Failed():
                    job = self._queue.ended(word.ticket)
                    if job is not None:
                        self._on_report(job, word, now)
                    self._rounds.wake()
                case _:
                    job = self._queue.of(word.ticket)
                    if job is not None:
                        self._on_report(job, word, now)

    def _note(self, about: str, text: str) -> None:
        if text:
            self._trouble[about] = text
        else:
            self._trouble.pop(about, None)

    def _expire(self) -> None:
        now = time.monotonic()
        for job in self._queue.expire(now):
            late = "its deadline passed before its application had room for it"
            self._on_report(job, Failed("", ErrorCode.EXPIRED, late, 0.0), now)
        self._rounds.wake_at(self._queue.next_deadline())


def _order(ticket: str, job: Job, task: ApplicationTask, *, known: bool) -> Send:
    return Send(
        ticket=ticket,
        task=task.celery_name,
        payload=job.payload,
        expires=job.deadline,
        limit=task.limit,
        again=known,
    )
