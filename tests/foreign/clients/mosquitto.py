"""Mosquitto's own clients: mosquitto_pub beside mosquitto_sub, and mosquitto_rr.

Without a flag the first two speak MQTT 3.1.1, the third MQTT 5.
"""

import asyncio
import json
import re
import subprocess

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from tests.foreign.conversation import TIMEOUT, Acknowledged, Answer, Conversation, Heard, Submission
from tests.support.mosquitto_clients import listening, publish, require

SHOWN_AS_JSON = ("-q", "1", "-F", "%j")


async def pub_and_sub(conversation: Conversation) -> Heard:
    """Hold it with one mosquitto_sub, and a mosquitto_pub for each submission."""
    return await asyncio.to_thread(_pub_and_sub, conversation)


async def rr(conversation: Conversation) -> Heard:
    """Hold it with a mosquitto_rr for each submission. It says nothing of acknowledgements."""
    return await asyncio.to_thread(_rr, conversation)


def _pub_and_sub(conversation: Conversation) -> Heard:
    port, submissions = conversation.port, conversation.submissions
    five = conversation.version == 5
    version = ("-V", "5") if five else ()
    count = len(submissions)
    with listening(port, conversation.filter, "-q", "1", *version, count=count, shown="%j") as listener:
        said = []
        for one in submissions:
            options = [*_options(one), *_property("response-topic", one.response_topic)] if five else []
            said.append(publish(port, one.topic, one.payload, "-q", "1", *version, *options))
        answers = tuple(map(_answer, listener.wait()))
    return Heard(answers, tuple(map(_reason, said)))


def _rr(conversation: Conversation) -> Heard:
    require("mosquitto_rr")
    answers = []
    for one in conversation.submissions:
        command = ["mosquitto_rr", "-p", str(conversation.port), "-W", str(int(TIMEOUT)), *SHOWN_AS_JSON]
        # Where it awaits the answer is, with MQTT 5, the response topic that it sends.
        command += ["-t", one.topic, "-e", one.response_topic, "-m", one.payload]
        command += _options(one) if conversation.version == 5 else ["-V", "311"]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT + 5, check=False)
        assert done.returncode == 0, done.stderr.decode()
        answers.append(_answer(done.stdout))
    return Heard(tuple(answers), (None,) * len(answers))


def _options(submission: Submission) -> list[str]:
    options = _property("correlation-data", submission.correlation)
    for pair in submission.user_properties:
        options += _property("user-property", *pair)
    return options


def _property(*words: str) -> list[str]:
    return ["-D", "publish", *words]


def _answer(line: bytes) -> Answer:
    """An object is read as its pairs: the name of a user property may come twice."""
    found = dict(json.loads(line, object_pairs_hook=tuple))
    properties = dict(found.get("properties", ()))
    return Answer(
        found["topic"],
        found["payload"],
        properties.get("content-type"),
        properties.get("correlation-data"),
        properties.get("user-properties", ()),
    )


def _reason(said: str) -> Acknowledged:
    """mosquitto_pub names the reason of a refusal, and nothing else."""
    refused = re.search(r"failed: (.*)\.", said)
    return Acknowledged(ReasonCode(PacketTypes.PUBACK, refused[1]).value if refused else 0)
