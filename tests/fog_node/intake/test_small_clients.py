"""Every error fits into the packet of a small client, as PubSubClient is, with names as in a house."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.contract.message import Message
from broker.contract.messages import ErrorCode, Outcome, TaskError
from broker.contract.topics import Weight
from broker.mqtt.fields import write_text
from broker.mqtt.writing import encode_publish
from fog_node.jobs.limits import DeviceLimits
from fog_node.jobs.refusal import sender_of
from fog_node.replies.outcomes import SMALL_PACKET, again, encode_outcome, local_outcome
from fog_tasks.builtin import total
from fog_tasks.declaration.task import task
from tests.support.centre import NODE, Centre
from tests.support.eventually import eventually
from tests.support.jobs import job

HOUSE = "esp32-kitchen/1234"
TASK = f"fog/tasks/light/sum/{HOUSE}"
LONGER = len("raspberrypi-3f2a") - len(NODE)
"""By how much a Pi's own name is longer than that of the node here, which is in the answer twice or more."""

BUILTIN = f"fog/tasks/light/%s/{HOUSE}"


@task
def shout(text: str, times: int = 1, *, where: str = "here", when: float = 0.0) -> str:
    """A task whose parameters take many words to tell."""
    return f"{text * times} {where} {when}"


@task(roles=("operator", "node"))
def guarded() -> None:
    """A task that is not for everybody."""


TASKS = (total, shout, guarded)


def size(message: Message) -> int:
    """Bytes on the wire, as the embedded broker sends it."""
    return len(encode_publish(write_text(message.topic), message.payload, qos=1, packet_id=1))


Before = Callable[[Centre], object]
NOTHING: Before = lambda _: None  # noqa: E731
CASES: list[tuple[str, bytes, ErrorCode, dict[str, Any], Before]] = [
    (f"fog/tasks/lightish/sum/{HOUSE}", b"", ErrorCode.BAD_TOPIC, {}, NOTHING),
    (f"{TASK}/and/more", b"", ErrorCode.BAD_TOPIC, {}, NOTHING),
    (f"fog/tasks/light/{'x' * 300}/{HOUSE}", b"", ErrorCode.BAD_TOPIC, {}, NOTHING),
    (f"fog/tasks/light/tab\there/{HOUSE}", b"", ErrorCode.BAD_TOPIC, {}, NOTHING),
    (BUILTIN % "temperature", b"", ErrorCode.UNKNOWN_TASK, {}, NOTHING),
    (TASK, b"'[1,2]'", ErrorCode.BAD_PAYLOAD, {}, NOTHING),
    (TASK, b"hello", ErrorCode.BAD_PAYLOAD, {}, NOTHING),
    (TASK, b"[1,2", ErrorCode.BAD_PAYLOAD, {}, NOTHING),
    (TASK, b'{"$hurry": 1}', ErrorCode.BAD_PAYLOAD, {}, NOTHING),
    (TASK, b'{"$deadline": "soon"}', ErrorCode.BAD_PAYLOAD, {}, NOTHING),
    (TASK, b'{"$reply": "fog/results/somebody/else"}', ErrorCode.BAD_PAYLOAD, {}, NOTHING),
    (TASK, b" " * 1001, ErrorCode.TOO_LARGE, {}, NOTHING),
    (BUILTIN % "guarded", b"", ErrorCode.FORBIDDEN, {}, NOTHING),
    (TASK, b"[1]", ErrorCode.OVERLOADED, {"most": 0}, NOTHING),
    (TASK, b"[1]", ErrorCode.RATE_LIMITED, {"limits": DeviceLimits(rate=0.1, burst=0, open=0)}, NOTHING),
    (
        TASK,
        b"[1]",
        ErrorCode.UNROUTABLE,
        {},
        lambda node: node.deciding.without_workers(Weight.LIGHT),
    ),
    (
        TASK.replace("light", "heavy"),
        b"[1]",
        ErrorCode.OVERLOADED,
        {"cloud": True},
        lambda node: setattr(node.deciding.cloud, "full", True),
    ),
]


@pytest.mark.parametrize(("topic", "payload", "code", "how", "before"), CASES)
async def test_a_refusal_fits_with_its_whole_sentence(
    tmp_path: Path, topic: str, payload: bytes, code: ErrorCode, how: dict[str, Any], before: Before
) -> None:
    async with Centre.opened(tmp_path / "j.db", tasks=TASKS, **how) as node:
        before(node)
        node.submit(topic, payload)
        await eventually(lambda: node.heard)
        (outcome,) = node.outcomes
        assert isinstance(outcome.error, TaskError)
        assert outcome.error.code is code
        assert size(node.heard[0]) + LONGER * node.heard[0].payload.count(NODE.encode()) <= SMALL_PACKET
        assert not outcome.error.message.endswith("…")


@pytest.mark.parametrize("payload", [b"{}", b'["a", 1, 2, 3]', b'{"txt": "a"}', b'{"text": 1}'])
async def test_a_sentence_on_parameters_fits_and_begins_with_what_is_wrong(
    tmp_path: Path, payload: bytes
) -> None:
    """It lists what the task takes; what does not fit of that is in the log and in the catalog."""
    async with Centre.opened(tmp_path / "j.db", tasks=TASKS) as node:
        node.submit(BUILTIN % "shout", payload)
        (outcome,) = node.outcomes
        assert isinstance(outcome.error, TaskError)
        assert outcome.error.code is ErrorCode.BAD_ARGUMENTS
        assert re.match(r"shout(: parameter| takes 2| has no parameter)", outcome.error.message)
        assert size(node.heard[0]) <= SMALL_PACKET


async def test_every_code_but_those_of_the_end_of_a_task_is_tried() -> None:
    ends = {ErrorCode.EXPIRED, ErrorCode.CANCELLED, ErrorCode.TIMED_OUT, ErrorCode.FAILED}
    assert {case[2] for case in CASES} | {ErrorCode.BAD_ARGUMENTS} == set(ErrorCode) - ends


@pytest.mark.parametrize("code", [ErrorCode.EXPIRED, ErrorCode.CANCELLED, ErrorCode.TIMED_OUT])
def test_the_end_of_a_task_fits_whatever_is_told_of_its_place(code: ErrorCode) -> None:
    one = job(task="temperature", device="esp32-kitchen", id="1234", reply=f"fog/results/{HOUSE}")
    one.placed("the neighbour fog-b is soonest", 12.3456)
    text = "its deadline passed before another node could be reached"
    outcome = local_outcome(
        one, node="raspberrypi-3f2a", now=12.345678, ran_ms=1234.567, error=TaskError(code, text)
    )
    encoded = encode_outcome(outcome, sender_of(one))
    for payload in (encoded, again(sender_of(one), encoded)):
        assert size(Message(topic=one.reply, payload=payload)) <= SMALL_PACKET
    told = msgspec.json.decode(encoded, type=Outcome).error
    assert isinstance(told, TaskError)
    assert text.startswith(told.message.removesuffix("…"))


def test_what_a_task_says_itself_is_told_whole() -> None:
    one = job()
    outcome = local_outcome(one, node=NODE, now=1.0, error=TaskError(ErrorCode.FAILED, "x" * 2000))
    assert b"x" * 2000 in encode_outcome(outcome, sender_of(one))
