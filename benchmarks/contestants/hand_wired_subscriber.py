"""The subscriber of the hand-wired pipeline: each message becomes a Celery task.

`python -m benchmarks.contestants.hand_wired_subscriber`. paho acknowledges a message when the callback has
returned, thus when Redis has the task. One thread, one connection to the broker, one to Redis.
"""

import os

import paho.mqtt.client as paho

from benchmarks.contestants.hand_wired_app import app, connect_fast, run
from benchmarks.contestants.settings import BROKER_PORT_VARIABLE


def main() -> None:
    """Subscribe, say `ready`, and pass on until killed."""
    client = connect_fast(int(os.environ[BROKER_PORT_VARIABLE]))
    with app.producer_pool.acquire(block=True) as producer:

        def pass_on(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
            *_, task, device, number = message.topic.split("/")
            arguments = (task, device, number, message.payload.decode())
            run.apply_async(arguments, producer=producer, ignore_result=True)

        client.on_message = pass_on
        client.on_subscribe = lambda *_: print("ready", flush=True)
        client.subscribe("fog/tasks/#", 1)
        client.loop_forever()


if __name__ == "__main__":
    main()
