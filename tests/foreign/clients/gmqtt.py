"""gmqtt. It speaks MQTT 5 unless told otherwise, and does not read the reason in an acknowledgement."""

import asyncio
from typing import Any

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311

from tests.foreign.conversation import TIMEOUT, Answer, Conversation, Heard, Submission


async def converse(conversation: Conversation) -> Heard:
    """Hold it."""
    return await _converse(conversation, MQTTv50 if conversation.version == 5 else MQTTv311)


async def fall_back(conversation: Conversation) -> Heard:
    """Hold it with MQTT 3.1.1, but ask for MQTT 5."""
    return await _converse(conversation, MQTTv50)


async def _converse(conversation: Conversation, wanted: int) -> Heard:
    five = conversation.version == 5
    subscribed = asyncio.Event()
    answers: asyncio.Queue[Answer] = asyncio.Queue()

    def on_message(_client: object, topic: str, payload: bytes, _qos: int, found: dict[str, Any]) -> int:
        answers.put_nowait(_answer(topic, payload, found))
        return 0

    client = gmqtt.Client(conversation.name)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = on_message
    async with asyncio.timeout(TIMEOUT):
        try:
            await client.connect("127.0.0.1", conversation.port, version=wanted)
            client.subscribe(conversation.filter, qos=1)
            await subscribed.wait()
            for one in conversation.submissions:
                client.publish(one.topic, one.payload, qos=1, **(_properties(one) if five else {}))
            heard = tuple([await answers.get() for _ in conversation.submissions])
        finally:
            await client.disconnect()
    return Heard(heard, (None,) * len(heard))


def _properties(submission: Submission) -> dict[str, Any]:
    return {
        "response_topic": submission.response_topic,
        "correlation_data": submission.correlation.encode(),
        "user_property": submission.user_properties,
    }


def _answer(topic: str, payload: bytes, found: dict[str, Any]) -> Answer:
    """Gmqtt has a list of values for each property that has come."""
    (content_type,) = found.get("content_type", [None])
    (correlation,) = found.get("correlation_data", [None])
    return Answer(
        topic,
        payload.decode(),
        content_type,
        None if correlation is None else correlation.decode(),
        tuple(found.get("user_property", ())),
    )
