"""The Celery application of a node and its workers.

Every registered task is an ordinary Celery task with its own name, on the queue of its weight: any Celery
client can call it, and Flower shows it.
"""

import sys
from typing import Any

import kombu.serialization
import msgspec
from celery import Celery
from kombu import Exchange, Queue

from broker.contract.topics import WEIGHTS, Weight
from fog_tasks.declaration.registry import Registry
from fog_tasks.redis_url import celery_tls, celery_url
from fog_tasks.reporting.channel import ReportChannel
from fog_tasks.reporting.report_buffers import ReportBuffers
from fog_tasks.running.celery_message import CONTENT_TYPE, PLAIN_JSON
from fog_tasks.running.execution import Batch, Execution
from fog_tasks.running.output import TaskOutput
from fog_tasks.running.stopping import Stopping

SOCKET_TIMEOUT = 5.0
"""Seconds without an answer after which Redis counts as away."""


def queue_name(node: str, weight: Weight) -> str:
    """The Celery queue of a node's tasks of one weight."""
    return f"fog.{node}.{weight}"


def make_app(
    redis_url: str,
    *,
    node: str,
    registry: Registry,
    cpu: float | None = None,
    buffers: ReportBuffers | None = None,
    output: TaskOutput | None = None,
    stopping: Stopping | None = None,
) -> Celery:
    """Build the application of one node.

    `redis_url` was made by fog_tasks/redis_url.py. `cpu` is the processor time, in seconds, that no task may
    exceed. The processes of a worker gather reports in `buffers`, their tasks write to `output`, and they end
    as `stopping` says.
    """
    kombu.serialization.register(
        PLAIN_JSON,
        _write_json,
        msgspec.json.decode,
        content_type=CONTENT_TYPE,
        content_encoding="utf-8",
    )
    url, tls = celery_url(redis_url), celery_tls(redis_url)
    app = Celery("weighbridge", broker=url, backend=url, set_as_current=False)
    app.conf.update(_settings(node, registry), broker_use_ssl=tls, redis_backend_use_ssl=tls)
    channel, output = ReportChannel(redis_url, buffers), output or TaskOutput(0)
    for definition in registry.runnables():
        app.register_task(Execution(definition, channel, output, cpu, stopping))
    app.register_task(Batch(registry, channel, output, cpu, stopping))
    return app


def _write_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _settings(node: str, registry: Registry) -> dict[str, Any]:
    queues = {weight: queue_name(node, weight) for weight in WEIGHTS}
    return {
        # Only JSON, in both directions: a pickle that someone left in Redis could run any code. Workers reply
        # in Celery's own JSON: its tools do not know what nodes send (celery_message.py).
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json", PLAIN_JSON],
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in queues.values()],
        "task_default_queue": queues[Weight.LIGHT],
        "task_routes": {one.name: {"queue": queues[one.weight]} for one in registry.runnables()},
        # Order, deadlines and cancellation are the node's, so a worker takes no more than one message for
        # each process in advance.
        "worker_prefetch_multiplier": 1,
        # Acknowledged when started. The node knows which messages a worker has, and places their tasks again
        # if the worker dies. With late acknowledgement Redis would deliver them a second time after the
        # visibility timeout, and with task_reject_on_worker_lost a task that kills its worker would come back
        # for ever: the node counts the attempts.
        "task_acks_late": False,
        "worker_hijack_root_logger": False,
        "worker_enable_remote_control": True,
        "worker_send_task_events": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": _transport(),
        "redis_socket_timeout": SOCKET_TIMEOUT,
        "redis_socket_connect_timeout": SOCKET_TIMEOUT,
        "redis_backend_health_check_interval": 10,
        "result_expires": 3600,
    }


def _transport() -> dict[str, Any]:
    return {
        # kombu would note in Redis what a worker has fetched, to restore it if the worker dies. The node
        # knows it already, and the notes cost two more round trips for each message.
        "ack_emulation": False,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "health_check_interval": 10,
        "socket_keepalive": sys.platform == "linux",
    }
