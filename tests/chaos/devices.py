"""Devices as users have them: paho clients with a persistent session, that publish until acknowledged."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from broker.messages import Outcome
from tests.chaos.ledger import Ledger, answer_of

CONNECT_TIMEOUT = 20.0
MIX = {"light": 0.88, "medium": 0.07, "heavy": 0.05}
"""How much of the work has which weight."""

DURATION = {"light": 0.0, "medium": 0.02, "heavy": 0.02}


class Device:
    """One client: paho sends again what was not acknowledged, the broker what it has not heard of."""

    def __init__(self, name: str, port: int, ledger: Ledger, executions: str, *, seed: int) -> None:
        self._name = name
        self._port = port
        self._ledger = ledger
        self._executions = executions
        self._rng = random.Random(seed)
        self._published: dict[int, str] = {}
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self._count = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self._client.reconnect_delay_set(1, 2)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connect, and listen."""
        self._client.connect("127.0.0.1", self._port, keepalive=10)
        self._client.loop_start()
        assert self._subscribed.wait(CONNECT_TIMEOUT), f"{self._name} cannot subscribe"

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def submit(self) -> None:
        """Hand one task to the node."""
        self._count += 1
        name = f"{self._name}/{self._count}"
        weight = self._rng.choices(list(MIX), list(MIX.values()))[0]
        arguments = {"name": name, "ledger": self._executions, "seconds": DURATION[weight]}
        topic = f"fog/tasks/{weight}/noted/{name}"
        self._ledger.submitted[name] = time.time()
        with self._lock:
            info = self._client.publish(topic, json.dumps(arguments), 1)
            self._published[info.mid] = name

    def _on_connect(self, *_: object) -> None:
        self._client.subscribe(f"fog/results/{self._name}/+", 1)

    def _on_publish(self, _client: object, _data: object, mid: int, *_: object) -> None:
        with self._lock:
            name = self._published.pop(mid)
        self._ledger.acknowledged[name] = time.time()

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        name = message.topic.removeprefix("fog/results/")
        outcome = msgspec.json.decode(message.payload, type=Outcome)
        self._ledger.answers[name].append((time.time(), answer_of(outcome)))


@contextmanager
def devices(count: int, port: int, ledger: Ledger, executions: str, *, seed: int) -> Iterator[list[Device]]:
    """Some devices that are connected."""
    made = [
        Device(f"device-{number}", port, ledger, executions, seed=seed + number) for number in range(count)
    ]
    try:
        for device in made:
            device.start()
        yield made
    finally:
        for device in made:
            device.stop()
