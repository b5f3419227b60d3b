"""aiomqtt, which wraps paho for asyncio. It says nothing of the reason in an acknowledgement."""

import asyncio

import aiomqtt

from tests.foreign.clients.paho import PROTOCOLS, answer, properties_of
from tests.foreign.conversation import TIMEOUT, Conversation, Heard


async def converse(conversation: Conversation) -> Heard:
    """Hold it."""
    client = aiomqtt.Client(
        "127.0.0.1",
        conversation.port,
        identifier=conversation.name,
        protocol=aiomqtt.ProtocolVersion(PROTOCOLS[conversation.version]),
        transport=conversation.transport,
    )
    async with asyncio.timeout(TIMEOUT), client:
        await client.subscribe(conversation.filter, 1)
        for one in conversation.submissions:
            properties = properties_of(one) if conversation.version == 5 else None
            await client.publish(one.topic, one.payload, 1, properties=properties)
        heard = [await anext(client.messages) for _ in conversation.submissions]
    answers = tuple(answer(str(one.topic), one.payload, one.properties) for one in heard)
    return Heard(answers, (None,) * len(answers))
