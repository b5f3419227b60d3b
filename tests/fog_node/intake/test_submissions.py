"""What becomes of each message that comes in."""

from typing import Any

import pytest

from broker.contract.identity import Role
from broker.contract.message import Message, UserProperties
from broker.contract.messages import ErrorCode, HandOff, encode
from broker.contract.topics import ANONYMOUS, Weight
from broker.errors import BadPayload
from fog_node.intake.submissions import MOST_PROPERTIES, Intake
from fog_node.jobs.job import Job
from fog_node.jobs.refusal import Refused
from fog_tasks.loading import load
from tests.support.jobs import job

NOW = 100.0


@pytest.fixture(scope="module")
def intake() -> Intake:
    return Intake("fog-a", load([]), max_payload=100)


def read(intake: Intake, topic: str, payload: bytes = b"[1]", **more: object) -> Job:
    message = Message(topic=topic, payload=payload, **more)  # type: ignore[arg-type]
    return intake.read_task(message, key=7, now=NOW)


def test_a_full_topic_says_it_all(intake: Intake) -> None:
    job = read(intake, "fog/tasks/medium/sum/me/1")
    assert (job.key, job.device, job.id, job.task) == (7, "me", "1", "sum")
    assert (job.weight, job.received, job.deadline) == (Weight.MEDIUM, NOW, None)
    assert job.reply == "fog/results/me/1"


def test_auto_takes_the_weight_that_the_task_declares(intake: Intake) -> None:
    assert read(intake, "fog/tasks/auto/heavy_power/me/1", b"").weight is Weight.HEAVY


@pytest.mark.parametrize(
    ("client_id", "device"),
    [("sensor-1", "sensor-1"), ("a/b", ANONYMOUS), ("", ANONYMOUS), (None, ANONYMOUS)],
)
def test_without_a_device_the_client_id_is_taken_where_it_can_be(
    intake: Intake, client_id: str | None, device: str
) -> None:
    first = read(intake, "fog/tasks/light/sum", client_id=client_id)
    second = read(intake, "fog/tasks/light/sum", client_id=client_id)
    assert first.device == device
    assert first.id != second.id


@pytest.mark.parametrize(
    "again",
    [
        b'{"$args": [1, 2], "$deadline": 0.001}',
        b'{ "$deadline": 4, "$args": [1,2]}',
        b'{"$args": [1, 2], "$max_hops": 1, "$reply": "fog/results/me/other"}',
    ],
)
def test_options_do_not_make_another_task(intake: Intake, again: bytes) -> None:
    """A device that sends a task again says what is left of its deadline."""
    first = read(intake, "fog/tasks/light/sum/me/1", b'{"$args": [1, 2], "$deadline": 5}')
    assert read(intake, "fog/tasks/medium/sum/me/1", again).identity == first.identity
    other = read(intake, "fog/tasks/light/sum/me/1", b'{"$args": [1, 3], "$deadline": 5}')
    assert other.identity != first.identity


def test_a_payload_is_the_same_in_every_life_of_a_node(intake: Intake) -> None:
    assert read(intake, "fog/tasks/light/sum/me/1", b"[1]").fingerprint.hex() == "8b30c8310c4924fe9b9a0aec"


def test_the_earlier_of_two_deadlines_counts(intake: Intake) -> None:
    payload = b'{"$args": [1], "$deadline": 5}'
    assert read(intake, "fog/tasks/light/sum/me/1", payload).deadline == NOW + 5
    assert read(intake, "fog/tasks/light/sum/me/1", payload, expiry=2.0).deadline == NOW + 2


@pytest.mark.parametrize(
    ("response_topic", "reply"),
    [
        ("answers/here", "answers/here"),
        ("fog/results/me/there", "fog/results/me/there"),
        ("fog/results/you/1", "fog/results/me/1"),
        ("fog/nodes/a/state", "fog/results/me/1"),
        ("$SYS/a", "fog/results/me/1"),
    ],
)
def test_a_response_topic_is_honoured_where_it_harms_nobody(
    intake: Intake, response_topic: str, reply: str
) -> None:
    job = read(intake, "fog/tasks/light/sum/me/1", response_topic=response_topic, correlation=b"c")
    assert (job.reply, job.correlation) == (reply, b"c")


@pytest.mark.parametrize(
    ("role", "response_topic", "reply"),
    [
        (Role.DEVICE, "fog/results/me/there", "fog/results/me/there"),
        (Role.DEVICE, "doors/front/open", "fog/results/me/1"),
        (Role.OPERATOR, "answers/here", "answers/here"),
        (Role.OPERATOR, "fog/results/you/1", "fog/results/me/1"),
        (Role.OPERATOR, "$SYS/a", "fog/results/me/1"),
    ],
)
def test_with_users_an_outcome_goes_only_where_its_sender_may_read(
    intake: Intake, role: Role, response_topic: str, reply: str
) -> None:
    """Or a device would have the node publish where it may not: to a door's lock outside `fog/`."""
    job = read(intake, "fog/tasks/light/sum/me/1", response_topic=response_topic, role=role)
    assert job.reply == reply


LARGE = (("name", "ä" * 1000), ("name", "ä" * 1000)) * 2


def sent_with(properties: UserProperties) -> Message:
    return Message(topic="fog/tasks/light/sum/me/1", payload=b"[1]", user_properties=properties)


def handed_with(properties: UserProperties) -> Message:
    handed = HandOff(device="me", id="1", payload=b"[1]", route=("a",), user_properties=properties)
    return Message(topic="fog/mesh/cloud/tasks/light/sum/fog-a/k-1", payload=encode(handed))


READS = [(Intake.read_task, sent_with), (Intake.read_hand_off, handed_with)]


@pytest.mark.parametrize(("read", "sent"), READS)
def test_user_properties_stay_with_a_job_in_order(intake: Intake, read: Any, sent: Any) -> None:
    properties = (("b", "1"), ("a", ""), ("b", "0"))
    assert read(intake, sent(properties), key=7, now=NOW).user_properties == properties
    most = (*LARGE, ("", "x" * (MOST_PROPERTIES - 4 * 2009 - 5)))
    assert read(intake, sent(most), key=7, now=NOW).user_properties == most


@pytest.mark.parametrize(("read", "sent"), READS)
def test_more_of_them_than_may_be_are_refused_and_not_sent_back(intake: Intake, read: Any, sent: Any) -> None:
    """However short they are: each has a size of its own in a packet."""
    for properties in ((*LARGE, ("", "x" * (MOST_PROPERTIES - 4 * 2009 - 4))), (("", ""),) * 1639):
        with pytest.raises(Refused, match=r"the user properties have 819\d bytes") as refusal:
            read(intake, sent(properties), key=7, now=NOW)
        assert refusal.value.code is ErrorCode.TOO_LARGE
        assert refusal.value.sender.user_properties == ()


@pytest.mark.parametrize(
    ("topic", "payload", "code", "device"),
    [
        ("fog/tasks/light/sing/me/1", b"", ErrorCode.UNKNOWN_TASK, "me"),
        ("fog/tasks/huge/sum/me/1", b"", ErrorCode.BAD_TOPIC, "me"),
        ("fog/tasks/light/sum/me/", b"", ErrorCode.BAD_TOPIC, "me"),
        ("fog/tasks/light", b"", ErrorCode.BAD_TOPIC, "client"),
        ("fog/tasks/light/sum/me/1", b"{", ErrorCode.BAD_PAYLOAD, "me"),
        ("fog/tasks/light/sum/me/1", b'["a"]', ErrorCode.BAD_ARGUMENTS, "me"),
        ("fog/tasks/light/sum/me/1", b"[" + b"1," * 60 + b"1]", ErrorCode.TOO_LARGE, "me"),
        ("fog/tasks/light/sum/me/1", b'{"$reply": "fog/results/you/1"}', ErrorCode.BAD_PAYLOAD, "me"),
        ("fog/tasks/light/sum/me/1", b'{"$reply": "fog/results/me/#"}', ErrorCode.BAD_PAYLOAD, "me"),
    ],
)
def test_a_refusal_knows_whom_to_tell(
    intake: Intake, topic: str, payload: bytes, code: ErrorCode, device: str
) -> None:
    with pytest.raises(Refused) as refusal:
        read(intake, topic, payload, client_id="client")
    assert refusal.value.code is code
    assert refusal.value.sender.device == device
    assert refusal.value.sender.reply.startswith(f"fog/results/{device}/")


def hand_off(intake: Intake, handed: bytes, task: str = "sum") -> Job:
    message = Message(topic=f"fog/mesh/cloud/tasks/heavy/{task}/fog-a/k-1", payload=handed, qos=1)
    return intake.read_hand_off(message, key=7, now=NOW)


def test_a_hand_off_keeps_what_is_left_of_its_deadline(intake: Intake) -> None:
    job = hand_off(
        intake, encode(HandOff(device="me", id="1", payload=b"[1]", route=("fog-a",), budget_ms=1500.0))
    )
    assert (job.origin, job.device, job.id) == ("fog-a", "me", "1")
    assert job.deadline == NOW + 1.5
    assert job.reply == "fog/mesh/fog-a/results/k-1"


def test_a_hand_off_that_cannot_be_run_is_answered_to_its_origin(intake: Intake) -> None:
    with pytest.raises(Refused) as refusal:
        hand_off(intake, encode(HandOff(device="me", id="1", payload=b"", route=())), task="sing")
    assert refusal.value.sender.reply == "fog/mesh/fog-a/results/k-1"


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{}", b"\x80"])
def test_a_hand_off_that_cannot_be_read_is_told_as_such(intake: Intake, payload: bytes) -> None:
    with pytest.raises(BadPayload, match="hand-off"):
        hand_off(intake, payload)


@pytest.mark.parametrize(
    ("task", "payload", "code"),
    [
        ("gone", b"", ErrorCode.UNKNOWN_TASK),
        ("sum", b"\xff", ErrorCode.BAD_PAYLOAD),
        ("sum", b'["x"]', ErrorCode.BAD_ARGUMENTS),
    ],
)
def test_a_job_of_an_earlier_life_that_its_task_would_not_take_any_more_has_a_fault(
    intake: Intake, task: str, payload: bytes, code: ErrorCode
) -> None:
    """Its user may have changed the task; a job that cannot even be read must not stop the node."""
    fault = intake.fault_of(job(task=task, payload=payload))
    assert fault is not None
    assert fault.code is code


def test_a_job_of_an_earlier_life_whose_task_is_as_it_was_has_none(intake: Intake) -> None:
    assert intake.fault_of(job(task="sum", payload=b'{"$deadline": 5}')) is None
