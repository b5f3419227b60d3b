"""The client of a Celery application: sends tasks, hears their results, looks for those that are lost."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import celery
import structlog
from celery import states

from fog_tasks.application.finding import learned
from fog_tasks.application.orders import Order, Revoke, Send, Trouble, Word
from fog_tasks.application.pending import Entry, Found, Pending, Verdict
from fog_tasks.application.results import Meta, results_of
from fog_tasks.application.sending import BrokerAway, Sending
from fog_tasks.application.settings import DoorSettings
from fog_tasks.application.words import failed, word_of
from fog_tasks.progress import percent_in
from fog_tasks.reporting.reports import Advanced, Running

log = structlog.get_logger()

RETRY_PAUSE = 1.0
"""Seconds before the application's broker is tried again."""

LOOK_INTERVAL = 0.5

ANSWER_TIME = 1.0
"""Seconds that workers get to say what they have; a busy machine is slow."""

MOST_UNCLAIMED = 2_000
"""Ends that are kept of tasks that nobody has asked for: the node may not have named those of an earlier life
yet, and a result that comes as a message comes once. The oldest go first."""

BATCH = 500
"""Tasks that workers are asked for in one question."""


class Client:
    """Has its own threads for `hear_results` and `watch`; `take` is called by a third one."""

    def __init__(self, app: celery.Celery, settings: DoorSettings, say: Callable[[Word], None]) -> None:
        # Its stubs lack half of what is called here.
        self._app: Any = app
        self._settings = settings
        self._say = say
        self._results = results_of(
            app,
            self._hear,
            lambda text: say(Trouble(about="backend", text=text)),
            prefix=settings.prefix,
            reply=settings.reply,
        )
        self._sending = Sending(app, learned(app), reply=settings.reply, queues=settings.queues)
        self._lock = threading.Lock()
        self._pending = Pending(settings.lease)
        self._orders: dict[str, Send] = {}
        self._unclaimed: dict[str, Meta] = {}
        self._broker_away = False
        self._results.prepare()

    def wait_ready(self) -> None:
        """Return once results are heard: what is sent before might be answered to nobody."""
        self._results.ready.wait()

    def hear_results(self) -> None:
        """Hear results, for ever."""
        self._results.run(self._asked)

    def take(self, orders: Sequence[Order]) -> None:
        """Carry orders out, one after the other."""
        for order in orders:
            match order:
                case Send():
                    self._take(order)
                case Revoke():
                    self._revoke(order)

    def watch(self) -> None:
        """Look for tasks of which nothing was heard, for ever."""
        self._results.prepare()
        while True:
            time.sleep(LOOK_INTERVAL)
            with self._lock:
                due = self._pending.due(time.monotonic())
            for begin in range(0, len(due), BATCH):
                self._look_for(due[begin : begin + BATCH])

    def _asked(self) -> list[str]:
        with self._lock:
            return list(self._pending)

    def _take(self, order: Send) -> None:
        with self._lock:
            self._orders[order.ticket] = order
            self._pending.add(order.ticket, self._sending.queue_of(order.task), expires=order.expires)
            if order.again:
                self._pending.sent(order.ticket, time.monotonic(), maybe=True)
            unclaimed = self._unclaimed.pop(order.ticket, None)
        if unclaimed is not None:
            self._ended(order.ticket, unclaimed, time.monotonic())
        elif not order.again:
            self._send(order)

    def _send(self, order: Send) -> None:
        """Send a task, as soon as the broker can be reached."""
        while order.ticket in self._pending:
            try:
                self._sending.send(order)
            except BrokerAway as fault:
                if not self._broker_away:
                    log.warning("broker_away", reason=str(fault), next_try_s=RETRY_PAUSE)
                self._note_broker(f"its broker cannot be reached: {fault}")
                time.sleep(RETRY_PAUSE)
            except Exception as fault:  # noqa: BLE001  # whatever its serializer and its hooks raise
                self._end(
                    order.ticket, failed(order.ticket, f"it cannot be sent to its application: {fault}")
                )
            else:
                self._note_broker("")
                with self._lock:
                    self._pending.sent(order.ticket, time.monotonic())
                return

    def _note_broker(self, text: str) -> None:
        if bool(text) != self._broker_away:
            self._broker_away = bool(text)
            self._say(Trouble(about="broker", text=text))

    def _revoke(self, order: Revoke) -> None:
        with self._lock:
            entry = self._pending.drop(order.ticket)
            self._orders.pop(order.ticket, None)
        if entry is not None:
            self._have_revoked(order.ticket, terminate=order.terminate)

    def _have_revoked(self, ticket: str, *, terminate: bool = False) -> None:
        try:
            self._app.control.revoke(ticket, terminate=terminate)
        except Exception as fault:  # noqa: BLE001  # it runs on, and nobody hears of it
            log.warning("task_not_revoked", task=ticket, reason=str(fault))

    def _hear(self, meta: Meta) -> None:
        ticket, now = str(meta["task_id"]), time.monotonic()
        if meta["status"] in states.READY_STATES:
            self._ended(ticket, meta, now)
            return
        percent = percent_in(meta["result"])
        with self._lock:
            retried = meta["status"] == states.RETRY
            first = self._pending.sign(ticket, now, running=not retried)
            if retried:
                self._pending.retried(ticket, now)
            tells = percent is not None and self._pending.tells(ticket, percent, now)
        if first:
            self._say(Running(ticket, ""))
        if percent is not None and tells:
            self._say(Advanced(ticket, min(100.0, max(0.0, percent))))

    def _ended(self, ticket: str, meta: Meta, now: float) -> None:
        with self._lock:
            entry = self._pending.end(ticket)
            self._orders.pop(ticket, None)
            if entry is None:
                self._unclaimed[ticket] = meta
                while len(self._unclaimed) > MOST_UNCLAIMED:
                    del self._unclaimed[next(iter(self._unclaimed))]
        if entry is not None:
            self._say(word_of(ticket, meta, entry.ran(now)))

    def _end(self, ticket: str, word: Word) -> None:
        with self._lock:
            known = self._pending.drop(ticket)
            self._orders.pop(ticket, None)
        if known is not None:
            self._say(word)

    def _look_for(self, due: list[Entry]) -> None:
        """Ask the backend and the workers for some tasks, and do what follows."""
        tickets = [entry.ticket for entry in due]
        try:
            self._results.look(tickets)
            replies = self._app.control.inspect(timeout=ANSWER_TIME).query_task(*tickets) or {}
            waiting = {queue: self._waiting_in(queue) for queue in {entry.queue for entry in due}}
        except Exception as fault:  # noqa: BLE001  # whatever clients of brokers and backends raise
            log.warning("tasks_not_looked_for", reason=str(fault))
            replies, waiting = {}, {}
        held = {ticket: state for one in replies.values() for ticket, (state, _) in one.items()}
        for entry in due:
            state = held.get(entry.ticket)
            found = Found(
                answered=bool(replies),
                held=state is not None,
                active=state == "active",
                waiting=waiting.get(entry.queue),
            )
            self._judge(entry, found)

    def _waiting_in(self, queue: str) -> int | None:
        with self._app.connection_for_read() as connection:
            try:
                declared = connection.default_channel.queue_declare(queue=queue, passive=True)
            except connection.channel_errors:
                return 0
            return int(declared.message_count)

    def _judge(self, entry: Entry, found: Found) -> None:
        ticket, now = entry.ticket, time.monotonic()
        with self._lock:
            if ticket not in self._pending:
                return
            verdict = self._pending.judge(entry, found, now)
            first = found.active and self._pending.sign(ticket, now, running=True)
            order = self._orders[ticket]
        if first:
            self._say(Running(ticket, ""))
        match verdict:
            case Verdict.AGAIN:
                log.warning("task_sent_again", task=order.task, ticket=ticket, attempt=entry.attempts + 1)
                self._send(order)
            case Verdict.LOST:
                text = f"its workers were lost {entry.attempts} times while they had it"
                self._end(ticket, failed(ticket, text, worker_lost=True))
            case Verdict.EXPIRED:
                self._end(
                    ticket, failed(ticket, "its deadline passed before a worker began it", expired=True)
                )
                self._have_revoked(ticket)
