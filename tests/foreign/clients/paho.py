"""Eclipse Paho's client for Python, with its thread."""

import asyncio
import queue

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.foreign.conversation import (
    TIMEOUT,
    Acknowledged,
    Answer,
    Conversation,
    Heard,
    Submission,
    Version,
)

PROTOCOLS: dict[Version, MQTTProtocolVersion] = {
    3: MQTTProtocolVersion.MQTTv311,
    5: MQTTProtocolVersion.MQTTv5,
}


def properties_of(submission: Submission) -> Properties:
    """What is published beside the payload."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = submission.response_topic
    properties.CorrelationData = submission.correlation.encode()
    properties.UserProperty = list(submission.user_properties)
    return properties


def answer(topic: str, payload: bytes | bytearray, properties: Properties | None) -> Answer:
    """A message that has come. A property that has not is no attribute."""
    correlation = getattr(properties, "CorrelationData", None)
    return Answer(
        topic,
        payload.decode(),
        getattr(properties, "ContentType", None),
        None if correlation is None else correlation.decode(),
        tuple(getattr(properties, "UserProperty", ())),
    )


async def converse(conversation: Conversation) -> Heard:
    """Hold it in a thread: paho's calls block."""
    return await asyncio.to_thread(_converse, conversation)


def _converse(conversation: Conversation) -> Heard:
    connected: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()
    subscribed: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    acknowledged: queue.SimpleQueue[Acknowledged] = queue.SimpleQueue()
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=conversation.name,
        protocol=PROTOCOLS[conversation.version],
        transport=conversation.transport,
        reconnect_on_failure=False,
    )
    client.on_connect = lambda _client, _data, _flags, reason, _: connected.put(reason)
    client.on_subscribe = lambda _client, _data, _mid, reasons, _: subscribed.put(reasons[0])
    client.on_message = lambda _client, _data, one: answers.put(
        answer(one.topic, one.payload, one.properties)
    )
    client.on_publish = lambda _client, _data, _mid, reason, properties: acknowledged.put(
        Acknowledged(reason.value, getattr(properties, "ReasonString", ""))
    )
    client.connect("127.0.0.1", conversation.port)
    client.loop_start()
    try:
        _check(connected.get(timeout=TIMEOUT))
        client.subscribe(conversation.filter, 1)
        _check(subscribed.get(timeout=TIMEOUT))
        reasons = []
        for one in conversation.submissions:
            properties = properties_of(one) if conversation.version == 5 else None
            client.publish(one.topic, one.payload, 1, properties=properties)
            reasons.append(acknowledged.get(timeout=TIMEOUT))
        heard = tuple(answers.get(timeout=TIMEOUT) for _ in conversation.submissions)
    finally:
        client.disconnect()
        client.loop_stop()
    return Heard(heard, tuple(reasons))


def _check(reason: ReasonCode) -> None:
    if reason.is_failure:
        raise ConnectionError(str(reason))
