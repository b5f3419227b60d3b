"""Devices as users have them: paho clients with a persistent session, that publish until acknowledged.

The embedded broker's PUBACK says that a task is stored, and that of a broker elsewhere that it keeps the task
for the node. A Mosquitto that is killed with its node had it in memory: there a device takes the node's
`accepted` for the acknowledgement, and publishes again under the same id what is not accepted, or not
answered, for some time. That is what docs/guarantees.md tells its users to do.
"""

import json
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from broker.contract.messages import Outcome
from broker.contract.url import BrokerUrl
from tests.chaos.ledger import Ledger, answer_of
from tests.chaos.rules import topic as sensor_topic

CONNECT_TIMEOUT = 20.0
PATIENCE = 4.0
"""Seconds after which a device behind a Mosquitto publishes a task again."""

MIX = {"light": 0.80, "medium": 0.15, "heavy": 0.05}
"""How much of the work has which weight."""

DURATION = {"light": 0.0, "medium": 0.15, "heavy": 0.02}
"""Seconds that each takes: more medium work comes than one slot can do, so that a neighbour has some."""


class Device:
    """One client: paho sends again what was not acknowledged, the broker what it has not heard of."""

    def __init__(
        self,
        name: str,
        broker: BrokerUrl,
        ledger: Ledger,
        executions: str,
        *,
        seed: int,
        insistent: bool,
        rules: bool,
    ) -> None:
        self._name = name
        self._broker = broker
        self._ledger = ledger
        self._executions = executions
        self._rng = random.Random(seed)
        self._published: dict[int, str] = {}
        self._acknowledged_early: set[int] = set()
        self._insistent = insistent
        self._rules = rules
        self._results = "answered" if rules else "fog/results"
        self._unanswered: dict[str, tuple[float, str, str]] = {}
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self._count = 0
        self._client = _client(name, broker, clean_session=False)
        self._client.reconnect_delay_set(1, 2)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connect, and listen."""
        self._client.connect(self._broker.host, self._broker.port, keepalive=10)
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
        topic = sensor_topic(weight, name) if self._rules else f"fog/tasks/{weight}/noted/{name}"
        self._ledger.submitted[name] = time.time()
        self._publish(name, topic, json.dumps(arguments))

    def insist(self) -> None:
        """Publish again what has had no answer for long."""
        if self._insistent:
            for name, (at, topic, payload) in list(self._unanswered.items()):
                if time.time() - at > PATIENCE:
                    self._publish(name, topic, payload)

    def _publish(self, name: str, topic: str, payload: str) -> None:
        self._unanswered[name] = (time.time(), topic, payload)
        # Not under the lock: paho holds one of its own here, and while it calls _on_publish.
        info = self._client.publish(topic, payload, 1)
        with self._lock:
            if info.mid in self._acknowledged_early:
                self._acknowledged_early.remove(info.mid)
                self._acknowledged(name)
            else:
                self._published[info.mid] = name

    def _on_connect(self, *_: object) -> None:
        # The steps come with QoS 0: one that is missed is told again when the task is published again.
        self._client.subscribe([(f"{self._results}/{self._name}/+", 1), (f"fog/progress/{self._name}/+", 0)])

    def _on_publish(self, _client: object, _data: object, mid: int, *_: object) -> None:
        with self._lock:
            name = self._published.pop(mid, None)
            if name is None:
                self._acknowledged_early.add(mid)
            else:
                self._acknowledged(name)

    def _acknowledged(self, name: str) -> None:
        if not self._insistent:
            self._ledger.acknowledged[name] = time.time()

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        name = message.topic.split("/", message.topic.count("/") - 1)[-1]
        if not message.topic.startswith(self._results):
            # The further step of a rule has an id that nobody knows.
            if self._insistent and name in self._ledger.submitted:
                self._ledger.acknowledged.setdefault(name, time.time())
            return
        self._unanswered.pop(name, None)
        # An answer says that it was accepted, too.
        self._ledger.acknowledged.setdefault(name, time.time())
        outcome = msgspec.json.decode(message.payload, type=Outcome)
        self._ledger.answers[name].append((time.time(), answer_of(outcome)))
        if not (outcome.repeated or message.dup):
            self._ledger.told[name].append(time.time())


def _client(name: str, broker: BrokerUrl, *, clean_session: bool) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean_session)
    client.username_pw_set(broker.username, broker.password)
    if broker.tls:
        client.tls_set()
    return client


@contextmanager
def fresh_sessions(broker: BrokerUrl, clients: Iterable[str]) -> Iterator[None]:
    """Have a broker that outlives the test hold nothing for these clients, before and after."""
    _forget(broker, clients)
    yield
    _forget(broker, clients)


def _forget(broker: BrokerUrl, clients: Iterable[str]) -> None:
    for name in clients:
        client = _client(name, broker, clean_session=True)
        connected = threading.Event()
        client.on_connect = lambda *_, connected=connected: connected.set()
        client.connect(broker.host, broker.port)
        client.loop_start()
        assert connected.wait(CONNECT_TIMEOUT), f"{broker.place} does not let {name} in"
        client.disconnect()
        client.loop_stop()


@contextmanager
def devices(
    names: Iterable[str],
    broker: BrokerUrl,
    ledger: Ledger,
    executions: str,
    *,
    seed: int,
    insistent: bool,
    rules: bool = False,
) -> Iterator[list[Device]]:
    """Some devices that are connected; `insistent` ones publish again what is not answered for long.

    With `rules` they submit no tasks, but publish what a rule makes tasks of.
    """
    made = [
        Device(name, broker, ledger, executions, seed=seed + number, insistent=insistent, rules=rules)
        for number, name in enumerate(names)
    ]
    try:
        for device in made:
            device.start()
        yield made
    finally:
        for device in made:
            device.stop()
