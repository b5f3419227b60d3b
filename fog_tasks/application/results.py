"""How the results of a Celery application come in: by whatever its backend offers, and one thread for all."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import celery
import kombu
import structlog
from celery import states
from celery.backends.base import KeyValueStoreBackend
from celery.backends.redis import RedisBackend
from celery.backends.rpc import RPCBackend
from celery.exceptions import SecurityError

from fog_tasks.errors import BadResult

log = structlog.get_logger()

Meta = Mapping[str, Any]
"""What a backend keeps of a task: `task_id`, `status`, `result` and more."""

Hear = Callable[[Meta], None]
Trouble = Callable[[str], None]

POLL = 0.1
"""Seconds between two looks into a backend that does not tell by itself."""

WAIT = 1.0
"""Seconds that a thread waits for the next result before it looks whether it is to end."""

BATCH = 500
"""Tasks that are asked for in one step."""

RETRY_PAUSE = 1.0


class Results(ABC):
    """Hears what becomes of tasks whose identifiers begin with one prefix; one thread runs `run`.

    `trouble` is told what is wrong, and an empty text when that is over. `ready` is set while they are heard.
    """

    most_looks = 1
    """Times that a result is read before it is taken for one that cannot be."""

    def __init__(self, app: celery.Celery, hear: Hear, trouble: Trouble) -> None:
        # Its stubs know the base of all backends alone.
        self._app: Any = app
        self._hear = hear
        self._trouble = trouble
        self._away = False
        self._unread: dict[str, int] = {}
        self.ready = threading.Event()

    def prepare(self) -> None:  # noqa: B027  # most need nothing
        """Set up the backend of the thread that calls; each has its own."""

    @abstractmethod
    def listen(self, asked: Callable[[], Iterable[str]]) -> None:
        """Hear results until the connection breaks; `asked` tells the tasks that are pending.

        Calls `serves` once nothing that comes is missed.
        """

    def serves(self) -> None:
        """Note that results are heard from now on."""
        self.ready.set()
        self._note("")

    def look(self, tickets: Iterable[str]) -> None:  # noqa: B027  # a queue cannot be asked
        """Hear at once what is known of some tasks. Raises whatever the backend raises."""

    def run(self, asked: Callable[[], Iterable[str]]) -> None:
        """Hear results for ever."""
        self.prepare()
        while True:
            try:
                self.listen(asked)
            except Exception as fault:  # noqa: BLE001  # backends raise whatever their clients raise
                self.ready.clear()
                self._note(f"its result backend cannot be reached: {fault}")
                time.sleep(RETRY_PAUSE)

    def _note(self, text: str) -> None:
        if bool(text) != self._away:
            self._away = bool(text)
            if text:
                log.warning("results_away", reason=text, next_try_s=RETRY_PAUSE)
            self._trouble(text)

    def _came(self, ticket: str, read: Callable[[], Meta]) -> None:
        """Hear a result. One that cannot be read is a failure of its own task, and keeps no other back."""
        try:
            meta = read()
        except Exception as fault:  # noqa: BLE001  # it is whatever a task has written with `update_state`
            self._unread[ticket] = looks = self._unread.get(ticket, 0) + 1
            if looks < self.most_looks:
                return
            meta = unreadable(ticket, fault)
        self._unread.pop(ticket, None)
        self._hear(meta)

    def _look_by_keys(self, tickets: Iterable[str]) -> None:
        """Hear what a backend of keys and values knows."""
        backend, wanted = self._app.backend, list(tickets)
        for begin in range(0, len(wanted), BATCH):
            batch = wanted[begin : begin + BATCH]
            keys = [backend.get_key_for_task(ticket) for ticket in batch]
            found = backend.mget(keys)
            # memcached's has the keys with it, and leaves out what is not there.
            values = map(found.get, keys) if isinstance(found, dict) else found
            for ticket, kept in zip(batch, values, strict=True):
                if kept:
                    self._came(ticket, partial(backend.decode_result, kept))


class RedisResults(Results):
    """A subscription to the channels of all tasks that have the prefix: Redis publishes each result there."""

    def __init__(self, app: celery.Celery, hear: Hear, trouble: Trouble, prefix: str) -> None:
        super().__init__(app, hear, trouble)
        self._prefix = prefix

    def listen(self, asked: Callable[[], Iterable[str]]) -> None:
        backend = self._app.backend
        key = backend.get_key_for_task(self._prefix)
        with backend.client.pubsub() as channel:
            channel.psubscribe(_literally(key) + b"*")
            # The answer to that; then what came while nobody listened.
            channel.get_message(timeout=WAIT)
            self.look(asked())
            self.serves()
            while True:
                message = channel.get_message(timeout=WAIT)
                if message is not None and message["type"] == "pmessage":
                    ticket = self._prefix + message["channel"].removeprefix(key).decode()
                    self._came(ticket, partial(backend.decode_result, message["data"]))

    def look(self, tickets: Iterable[str]) -> None:
        self._look_by_keys(tickets)


class QueuedResults(Results):
    """A queue of results at the application's own broker (`rpc://`), which outlives this program."""

    def __init__(self, app: celery.Celery, hear: Hear, trouble: Trouble, reply: str) -> None:
        super().__init__(app, hear, trouble)
        self._reply = reply

    def prepare(self) -> None:
        # Celery has a backend and a queue for each thread, and lets the queue go with its reader. This one is
        # there when this program comes back; unused it goes by itself (result_expires).
        backend: Any = self._app.backend
        self._app._local.oid = vars(backend)["oid"] = self._reply  # noqa: SLF001  # there is no other way
        backend.Queue = _lasting(type(backend).Queue)

    def listen(self, asked: Callable[[], Iterable[str]]) -> None:  # noqa: ARG002
        with self._app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=0)
            consumer = kombu.Consumer(
                connection.default_channel,
                [self._app.backend.binding],
                callbacks=[self._received],
                on_decode_error=self._undecodable,
                accept=self._app.backend.accept,
                prefetch_count=BATCH,
            )
            with consumer:
                self.serves()
                while True:
                    try:
                        connection.drain_events(timeout=WAIT)
                    except TimeoutError:
                        connection.heartbeat_check()

    def _received(self, body: Any, message: kombu.Message) -> None:
        read = partial(self._app.backend.meta_from_decoded, body)
        self._came(str(message.properties["correlation_id"]), read)
        message.ack()

    def _undecodable(self, message: kombu.Message, fault: Exception) -> None:
        self._hear(unreadable(str(message.properties["correlation_id"]), fault))
        message.ack()


class PolledResults(Results):
    """A backend that tells nothing by itself is asked, for all tasks together where it can be."""

    # Of a file a half may be there already.
    most_looks = 20

    def listen(self, asked: Callable[[], Iterable[str]]) -> None:
        self.serves()
        while True:
            self.look(asked())
            time.sleep(POLL)

    def look(self, tickets: Iterable[str]) -> None:
        backend = self._app.backend
        if isinstance(backend, KeyValueStoreBackend):
            self._look_by_keys(tickets)
            return
        for ticket in tickets:
            try:
                meta = backend.get_task_meta(ticket, cache=False)
            except (TypeError, ValueError, SecurityError) as fault:
                meta = unreadable(ticket, fault)
            if meta["status"] != states.PENDING:
                self._hear({**meta, "task_id": ticket})


def results_of(app: celery.Celery, hear: Hear, trouble: Trouble, *, prefix: str, reply: str) -> Results:
    """The way in which an application's backend tells its results."""
    backend: Any = app.backend
    if isinstance(backend, RPCBackend):
        return QueuedResults(app, hear, trouble, reply)
    if isinstance(backend, RedisBackend):
        return RedisResults(app, hear, trouble, prefix)
    return PolledResults(app, hear, trouble)


def unreadable(ticket: str, fault: Exception) -> Meta:
    """What stands for a result that cannot be read."""
    return {
        "task_id": ticket,
        "status": states.FAILURE,
        "result": BadResult(f"its result cannot be read: {fault}"),
    }


def _lasting(queue: Callable[..., kombu.Queue]) -> Callable[..., kombu.Queue]:
    def make(*arguments: Any, **options: Any) -> kombu.Queue:
        return queue(*arguments, **{**options, "auto_delete": False})

    return make


def _literally(key: bytes) -> bytes:
    """A key as a pattern of Redis that matches it alone."""
    return b"".join(b"\\" + bytes([one]) if one in b"*?[]\\^" else bytes([one]) for one in key)
