"""Clients that we did not write, at a node: each submits, hears outcomes, and hears of a refusal."""

from dataclasses import dataclass
from itertools import product

import msgspec
import pytest

from broker.contract.messages import ErrorCode, Outcome, TaskError
from tests.foreign.clients import aiomqtt, gmqtt, mosquitto, mqtt_js, ohmqtt, paho
from tests.foreign.conftest import Node
from tests.foreign.conversation import Conversation, Converse, Submission, Transport, Version

BOTH: tuple[Version, ...] = (3, 5)
TCP: tuple[Transport, ...] = ("tcp",)
EACH: tuple[Transport, ...] = ("tcp", "websockets")

PROPERTIES = (("traceparent", "00-1f-2e-01"), ("mark", "second"), ("mark", "first"))
"""In an order that no sorting gives; those of one name together, as MQTT.js can only write them."""

PAYLOAD_FORMAT_INVALID = 0x99


@dataclass(frozen=True)
class Client:
    """A client, and what it can."""

    converse: Converse
    versions: tuple[Version, ...]
    transports: tuple[Transport, ...]


CLIENTS = {
    "paho": Client(paho.converse, BOTH, EACH),
    "aiomqtt": Client(aiomqtt.converse, BOTH, EACH),
    "gmqtt": Client(gmqtt.converse, BOTH, TCP),
    "ohmqtt": Client(ohmqtt.converse, (5,), TCP),
    "mosquitto_pub": Client(mosquitto.pub_and_sub, BOTH, TCP),
    "mosquitto_rr": Client(mosquitto.rr, BOTH, TCP),
    "MQTT.js": Client(mqtt_js.converse, BOTH, EACH),
}


def conversation(port: int, version: Version, transport: Transport, name: str) -> Conversation:
    """A good submission and a bad one; with MQTT 5 their answers come to a topic of the client's choice."""
    answers = f"replies/{name}" if version == 5 else f"fog/results/{name}"
    good, bad = (
        Submission(
            topic=f"fog/tasks/light/sum/{name}/{which}",
            payload=payload,
            response_topic=f"{answers}/{which}",
            correlation=f"c-{which}",
            user_properties=PROPERTIES,
        )
        for which, payload in (("good", "[1,2,3]"), ("bad", '["one"]'))
    )
    return Conversation(
        port=port,
        version=version,
        transport=transport,
        name=name,
        filter=f"{answers}/+",
        submissions=(good, bad),
    )


@pytest.mark.parametrize(
    ("client", "version", "transport"),
    [
        pytest.param(client, *kind, id="-".join(map(str, (name, *kind))))
        for name, client in CLIENTS.items()
        for kind in product(client.versions, client.transports)
    ],
)
async def test_a_task_is_answered_and_a_refusal_told(
    node: Node, request_id: str, client: Client, version: Version, transport: Transport
) -> None:
    asked = conversation(node.ports[transport], version, transport, request_id)
    heard = await client.converse(asked)

    answers = {one.topic: one for one in heard.answers}
    for one in asked.submissions:
        answer = answers[one.response_topic]
        properties = (answer.content_type, answer.correlation, answer.user_properties)
        complete = ("application/json", one.correlation, one.user_properties)
        assert properties == (complete if version == 5 else (None, None, ()))
    good, bad = (
        msgspec.json.decode(answers[one.response_topic].payload, type=Outcome) for one in asked.submissions
    )
    assert good.value == msgspec.Raw(b"6")
    assert isinstance(bad.error, TaskError)
    assert bad.error.code is ErrorCode.BAD_ARGUMENTS

    taken, refused = heard.acknowledged
    if taken is not None and refused is not None:
        assert taken.reason == 0
        told = version == 5 and node.refuses
        assert refused.reason == (PAYLOAD_FORMAT_INVALID if told else 0)
        assert refused.sentence in {None, bad.error.message if told else ""}
