"""The workers of the hand-wired pipeline: each process publishes its results itself, over one connection."""

import json
import os
import socket
from typing import Any

import paho.mqtt.client as paho
from celery import Celery, signals
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.contestants.settings import BROKER_PORT_VARIABLE, SETTINGS, body, redis_url

app = Celery("hand_wired", broker=redis_url())
app.conf.update(SETTINGS, task_ignore_result=True)

_connection: list[paho.Client] = []


@signals.worker_process_init.connect
def connect(**_: Any) -> None:
    """Open this process's connection; a thread of paho's serves it."""
    _connection.append(connect_fast(int(os.environ[BROKER_PORT_VARIABLE])))
    _connection[0].loop_start()


def connect_fast(port: int) -> paho.Client:
    """A paho client that holds no small packet back and may have many on their way."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_socket_open = _send_at_once
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    return client


def _send_at_once(_client: paho.Client, _data: object, opened: object) -> None:
    assert isinstance(opened, socket.socket)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@app.task(name="run")
def run(task: str, device: str, number: str, payload: str) -> None:
    """Run a task and publish its outcome with QoS 1."""
    value = body(task, json.loads(payload))
    outcome = json.dumps({"ok": True, "value": value, "id": number, "task": task}, separators=(",", ":"))
    _connection[0].publish(f"fog/results/{device}/{number}", outcome, 1)
