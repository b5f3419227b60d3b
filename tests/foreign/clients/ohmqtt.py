"""ohmqtt, a client for MQTT 5 alone, with its thread. It does not show the reason string of a refusal.

Over WebSockets it takes each frame for one packet, which the standard forbids: one may hold several.
"""

import asyncio
import queue

import ohmqtt

from tests.foreign.conversation import TIMEOUT, Acknowledged, Answer, Conversation, Heard, Submission


async def converse(conversation: Conversation) -> Heard:
    """Hold it in a thread: its calls block."""
    return await asyncio.to_thread(_converse, conversation)


def _converse(conversation: Conversation) -> Heard:
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    with ohmqtt.Client() as client:
        client.connect(f"mqtt://127.0.0.1:{conversation.port}", client_id=conversation.name, clean_start=True)
        client.wait_for_connect(TIMEOUT)
        subscribing = client.subscribe(conversation.filter, lambda _client, one: answers.put(_answer(one)), 1)
        assert subscribing is not None
        subscribing.wait_for_ack(TIMEOUT)
        acknowledged = tuple([_submit(client, one) for one in conversation.submissions])
        heard = tuple(answers.get(timeout=TIMEOUT) for _ in conversation.submissions)
    return Heard(heard, acknowledged)


def _submit(client: ohmqtt.Client, submission: Submission) -> Acknowledged:
    properties = ohmqtt.MQTTPublishProps(
        ResponseTopic=submission.response_topic,
        CorrelationData=submission.correlation.encode(),
        UserProperty=submission.user_properties,
    )
    sent = client.publish(submission.topic, submission.payload, qos=1, properties=properties)
    try:
        return Acknowledged(sent.wait_for_ack(TIMEOUT).reason_code)
    except ohmqtt.MQTTError as refusal:
        return Acknowledged(refusal.reason_code)


def _answer(message: ohmqtt.MQTTPublishPacket) -> Answer:
    found = message.properties
    return Answer(
        message.topic,
        message.payload.decode(),
        found.ContentType,
        None if found.CorrelationData is None else found.CorrelationData.decode(),
        tuple(found.UserProperty or ()),
    )
