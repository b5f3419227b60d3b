"""What a device has of MQTT 5: the answer to a request, and what comes back with it."""

import contextlib
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker.contract.messages import ErrorCode, TaskError, decode_outcome
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.mosquitto_clients import publish, request, require
from tests.support.phone import value
from tests.support.programs import Program, cloud_node, fog_node

TIMEOUT = 30.0
SAID = [("traceparent", "00-4bf9-01"), ("b", "2"), ("a", "ä"), ("b", "1")]


class Requester:
    """A paho client of MQTT 5 that has subscribed; what it hears is in `heard`."""

    def __init__(self, port: int, *filters: str) -> None:
        self.heard: queue.SimpleQueue[paho.MQTTMessage] = queue.SimpleQueue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = lambda _client, _data, message: self.heard.put(message)
        self._acknowledged: queue.SimpleQueue[tuple[int, str | None]] = queue.SimpleQueue()
        self._client.on_publish = self._note
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(one, SubscribeOptions(qos=1)) for one in filters])
        self._client.loop_start()
        assert subscribed.wait(TIMEOUT)

    def send(self, topic: str, payload: str, **properties: object) -> tuple[int, str | None]:
        """Publish with QoS 1; returns the reason code and the reason string of the acknowledgement."""
        written = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for name, said in properties.items():
            setattr(written, name, said)
        self._client.publish(topic, payload, 1, properties=written)
        return self._acknowledged.get(timeout=TIMEOUT)

    def _note(self, *acknowledged: Any) -> None:
        *_, reason, properties = acknowledged
        self._acknowledged.put((reason.value, getattr(properties, "ReasonString", None)))

    def next(self, topic: str) -> paho.MQTTMessage:
        """The next message on a topic."""
        while (message := self.heard.get(timeout=TIMEOUT)).topic != topic:
            pass
        return message

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def properties_of(message: paho.MQTTMessage) -> dict[str, object]:
    """What came with a message beside topic and payload."""
    assert message.properties is not None
    said: dict[str, object] = message.properties.json()  # type: ignore[no-untyped-call]
    return said


@pytest.fixture(scope="module", params=["embedded", "mosquitto", "external"])
def engine(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def node(
    engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    """A node with a small limit of open tasks."""
    chosen = request.getfixturevalue("mosquitto").url if engine == "external" else engine
    options = ("--engine", chosen, "--max-open-per-device", "1")
    with fog_node(tmp_path_factory.mktemp("node"), *options, workers="light=1") as program:
        yield program


@pytest.mark.parametrize(("payload", "says"), [("[1,2,3]", '"value":6'), ("[", '"code":"bad-payload"')])
def test_mosquitto_rr_prints_the_outcome_without_any_flag(node: Program, payload: str, says: str) -> None:
    require("mosquitto_rr")
    words = f"mosquitto_rr -p {node.port} -t fog/tasks/light/sum -e reply/me -W 20 -m"
    done = subprocess.run([*words.split(), payload], capture_output=True, text=True, timeout=30, check=True)
    assert says in done.stdout


@pytest.fixture
def requester(node: Program) -> Iterator[Requester]:
    filters = ("reply/me", "fog/progress/me/+", "fog/results/me/+")
    with contextlib.closing(Requester(node.port, *filters)) as made:
        yield made


@pytest.mark.parametrize(("task", "payload"), [("sum", "[1]"), ("gone", ""), ("sum", "{")])
def test_what_belongs_to_a_request_comes_back_with_its_answer(
    requester: Requester, request_id: str, task: str, payload: str
) -> None:
    """With an outcome, one that is sent again, and a refusal."""
    said: dict[str, Any] = {"ResponseTopic": "reply/me", "CorrelationData": b"\0c", "UserProperty": SAID}
    for _ in range(2):
        requester.send(f"fog/tasks/light/{task}/me/{request_id}", payload, **said)
        answer = properties_of(requester.next("reply/me"))
        assert answer == {"ContentType": "application/json", "CorrelationData": "0063", "UserProperty": SAID}


@pytest.mark.parametrize(
    ("task", "payload", "reason"),
    [
        ("light/sum", "{", 0x99),
        ("light/sum", '["x"]', 0x99),
        ("light/gone", "", 0x83),
        ("heavy/sum", "[1]", 0x83),
        ("huge/sum", "[1]", 0x90),
    ],
)
def test_a_refusal_is_told_in_the_acknowledgement_too(
    requester: Requester, engine: str, request_id: str, task: str, payload: str, reason: int
) -> None:
    """Where the broker is the node's own: any other one has acknowledged before the node knows."""
    told = requester.send(f"fog/tasks/{task}/me/{request_id}", payload)
    outcome = decode_outcome(bytes(requester.next(f"fog/results/me/{request_id}").payload))
    assert isinstance(outcome.error, TaskError)
    assert told == ((reason, outcome.error.message) if engine == "embedded" else (0, None))


def test_whoever_has_as_much_open_as_may_be_is_told_so_at_once(
    requester: Requester, engine: str, request_id: str
) -> None:
    assert requester.send(f"fog/tasks/light/sleep/me/{request_id}", "3") == (0, None)
    reason, sentence = requester.send(f"fog/tasks/light/sum/me/{request_id}", "[1]")
    if engine == "embedded":
        assert (reason, sentence) == (0x97, "1 of your tasks are open; wait for their outcomes")
    for _ in range(2):
        requester.next(f"fog/results/me/{request_id}")


def test_a_message_expiry_is_a_deadline(requester: Requester, request_id: str) -> None:
    others = [f"other-{number}/{request_id}" for number in range(2)]
    for other in others:
        requester.send(f"fog/tasks/light/sleep/{other}", "9")
    requester.send(f"fog/tasks/light/sum/me/{request_id}", "[1]", MessageExpiryInterval=1)
    outcome = decode_outcome(bytes(requester.next(f"fog/results/me/{request_id}").payload))
    for other in others:
        requester.send(f"fog/cancel/{other}", "")
    assert isinstance(outcome.error, TaskError)
    assert outcome.error.code is ErrorCode.EXPIRED


def test_progress_is_json(requester: Requester, request_id: str) -> None:
    requester.send(f"fog/tasks/light/sleep/me/{request_id}", "0.2", UserProperty=SAID)
    step = requester.next(f"fog/progress/me/{request_id}")
    assert properties_of(step) == {"ContentType": "application/json"}


def test_user_properties_outlive_the_node_and_come_back_from_another(tmp_path: Path) -> None:
    """The node is killed before it can hand the task over."""
    with contextlib.ExitStack() as stack:
        mosquitto = stack.enter_context(Mosquitto(tmp_path))
        port = free_port()
        options = ("--engine", mosquitto.url, "--cloud", f"mqtt://127.0.0.1:{port}")
        requester = Requester(mosquitto.port, "fog/progress/me/1", "fog/results/me/1")
        stack.callback(requester.close)
        with fog_node(tmp_path, *options) as node:
            requester.send("fog/tasks/heavy/sum/me/1", "[1,2]", UserProperty=SAID)
            requester.next("fog/progress/me/1")
            node.kill()
        stack.enter_context(cloud_node(tmp_path, "--listen", f"127.0.0.1:{port}"))
        stack.enter_context(fog_node(tmp_path, *options))
        outcome = requester.next("fog/results/me/1")
    assert b'"node":"cloud"' in outcome.payload
    assert properties_of(outcome) == {"ContentType": "application/json", "UserProperty": SAID}


def test_an_outcome_that_the_broker_refuses_holds_up_no_other(tmp_path: Path, request_id: str) -> None:
    """Where the node itself may not publish on a response topic, nobody waits for that."""
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite fog/#\n", "utf-8")
    # Started as root it would take the rights of a user who may not read the rules.
    with (
        Mosquitto(tmp_path, "user root", f"acl_file {rules}") as mosquitto,
        fog_node(tmp_path, "--engine", mosquitto.url, workers="light=1") as node,
    ):
        answered = ("-V", "5", "-D", "publish", "response-topic", "closed/door")
        publish(node.port, "fog/tasks/light/sum", "[1]", *answered)
        assert value(request(node.port, f"fog/tasks/light/sum/me/{request_id}", "[2]")) == 2
        node.wait_for_log("reply_refused")
        assert node.terminate() == 0
