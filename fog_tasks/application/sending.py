"""Sends tasks to the broker of a Celery application, in Celery's own words, over one connection."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import celery
import kombu.exceptions

from broker.errors import WeighbridgeError
from fog_tasks.application.application_task import ApplicationTask
from fog_tasks.application.orders import Send
from fog_tasks.application.settings import TaskTable

LEEWAY = 1.0
"""Seconds between a task's own limit, which raises inside it, and the end of its process."""


class BrokerAway(WeighbridgeError):
    """Raised when the application's broker cannot be reached, or does not take a task."""


class Sending:
    """Does what Celery's `send_task` does, in a third of its time: nothing is set up to wait for the result.

    With Redis that would be a subscription for each task, to which nobody listens. `tasks` are those that are
    known here by more than their names, `queues` those that the node's settings give to some. Any thread may
    call.
    """

    def __init__(
        self,
        app: celery.Celery,
        tasks: Mapping[str, ApplicationTask],
        *,
        reply: str,
        queues: Mapping[str, str],
    ) -> None:
        # Its stubs lack half of what is called here.
        self._app: Any = app
        self._learned = tasks
        self._reply = reply
        self._queues = queues
        self._lock = threading.Lock()
        self._producer: Any = None

    def send(self, order: Send) -> None:
        """Send a task. Raises BrokerAway, and whatever a serializer or a hook of the application's raises."""
        given, arguments = self._given(order), self._arguments(order)
        limits = {name: given.pop(name, None) for name in ("time_limit", "soft_time_limit")}
        expires = given.pop("expires", None)
        options = self._app.amqp.router.route(given, order.task, *arguments, self._task(order.task))
        message = self._app.amqp.create_task_message(
            order.ticket,
            order.task,
            *arguments,
            expires=expires,
            reply_to=self._reply,
            create_sent_event=self._app.conf.task_send_sent_event,
            ignore_result=False,
            **limits,
        )
        if expires is not None:
            options["expiration"] = expires
        with self._lock:
            self._publish(order.task, message, options)

    def queue_of(self, task: str) -> str:
        """The queue to which a task is sent, where its arguments have no say in it."""
        route = self._app.amqp.router.route(self._options(task), task, task_type=self._task(task))
        queue = route.get("queue")
        return str(getattr(queue, "name", queue or self._app.conf.task_default_queue))

    def _publish(self, task: str, message: Any, options: Mapping[str, Any]) -> None:
        producer = None
        try:
            producer = self._producer = self._producer or self._connected()
            # Whoever calls tries again, and says so meanwhile.
            self._app.amqp.send_task_message(producer, task, message, retry=False, **options)
        except self._faults() as fault:
            if producer is not None:
                producer.connection.collect()
            self._producer = None
            raise BrokerAway(str(fault)) from fault

    def _connected(self) -> Any:
        connection = self._app.connection_for_write()
        connection.ensure_connection(max_retries=1)
        return self._app.amqp.Producer(connection, auto_declare=False)

    def _faults(self) -> tuple[type[Exception], ...]:
        connection = self._app.connection_for_write()
        return (*connection.connection_errors, *connection.channel_errors, kombu.exceptions.OperationalError)

    def _arguments(self, order: Send) -> tuple[list[Any], dict[str, Any]]:
        task = self._learned.get(order.task)
        return (ApplicationTask(order.task, TaskTable()) if task is None else task).to_send(order.payload)

    def _given(self, order: Send) -> dict[str, Any]:
        given = self._options(order.task)
        if order.limit is not None:
            given |= {"soft_time_limit": order.limit, "time_limit": order.limit + LEEWAY}
        if order.expires is not None:
            given["expires"] = max(0.001, order.expires - time.monotonic())
        return given

    def _options(self, task: str) -> dict[str, Any]:
        """What the task itself says of how it is sent, as Celery reads it."""
        known = self._task(task)
        # As `send_task` asks it.
        said = {} if known is None else known._get_exec_options()  # noqa: SLF001
        given = {name: value for name, value in said.items() if value is not None}
        return given if task not in self._queues else {**given, "queue": self._queues[task]}

    def _task(self, name: str) -> Any:
        return self._app.tasks.get(name)
