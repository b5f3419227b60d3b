"""ohmqtt, a client for MQTT 5 alone, with its thread."""

import asyncio
import queue

import ohmqtt

from tests.foreign.conversation import TIMEOUT, Acknowledged, Answer, Conversation, Heard, Submission

SCHEMES = {"tcp": "mqtt", "websockets": "ws"}


async def converse(conversation: Conversation) -> Heard:
    """Hold it in a thread: its calls block."""
    return await asyncio.to_thread(_converse, conversation)


def _converse(conversation: Conversation) -> Heard:
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    url = f"{SCHEMES[conversation.transport]}://127.0.0.1:{conversation.port}"
    with ohmqtt.Client() as client:
        client.connect(url, client_id=conversation.name, clean_start=True)
        client.wait_for_connect(TIMEOUT)
        subscribing = client.subscribe(conversation.filter, lambda _client, one: answers.put(_answer(one)), 1)
        assert subscribing is not None
        subscribing.wait_for_ack(TIMEOUT)
        acknowledged = []
        for one in conversation.submissions:
            sent = client.publish(one.topic, one.payload, qos=1, properties=_properties(one))
            ack = sent.wait_for_ack(TIMEOUT)
            acknowledged.append(Acknowledged(ack.reason_code, ack.properties.ReasonString or ""))
        heard = tuple(answers.get(timeout=TIMEOUT) for _ in conversation.submissions)
    return Heard(heard, tuple(acknowledged))


def _properties(submission: Submission) -> ohmqtt.MQTTPublishProps:
    return ohmqtt.MQTTPublishProps(
        ResponseTopic=submission.response_topic,
        CorrelationData=submission.correlation.encode(),
        UserProperty=submission.user_properties,
    )


def _answer(message: ohmqtt.MQTTPublishPacket) -> Answer:
    found = message.properties
    return Answer(
        message.topic,
        message.payload.decode(),
        found.ContentType,
        None if found.CorrelationData is None else found.CorrelationData.decode(),
        tuple(found.UserProperty or ()),
    )
