"""A paho client as a phone app uses one: subscribe to the answer, publish the task."""

import threading
from collections.abc import Callable

import msgspec
import paho.mqtt.client as paho

from broker.contract.messages import Outcome

TIMEOUT = 15.0


def ask(connect: Callable[[paho.Client], object], client: paho.Client, name: str) -> Outcome:
    """Submit a sum and wait for its outcome; `name` is the task's id."""
    answers: list[bytes] = []
    subscribed, answered = threading.Event(), threading.Event()

    def on_message(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        answers.append(bytes(message.payload))
        answered.set()

    def on_connect(*_: object) -> None:
        client.subscribe(f"fog/results/phone/{name}", 1)

    client.on_connect = on_connect
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = on_message
    connect(client)
    client.loop_start()
    try:
        assert subscribed.wait(TIMEOUT)
        client.publish(f"fog/tasks/light/sum/phone/{name}", b"[1,2,3]", 1)
        assert answered.wait(TIMEOUT)
    finally:
        client.disconnect()
        client.loop_stop()
    return msgspec.json.decode(answers[0], type=Outcome)


def value(outcome: Outcome) -> object:
    """What the task returned."""
    assert isinstance(outcome.value, msgspec.Raw), outcome
    return msgspec.json.decode(outcome.value)
