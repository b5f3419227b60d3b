"""The parsers, on whatever bytes: they answer, or refuse in the one way that their callers expect."""

import contextlib
import json
from collections.abc import Callable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.filters import FilterSet, is_filter, matches
from broker.contract.identity import Identity, Role
from broker.contract.message import Message
from broker.contract.messages import (
    Catalog,
    HandOff,
    NodeState,
    Outcome,
    Progress,
    Report,
    Wait,
    decode_catalog,
    decode_hand_off,
    decode_outcome,
    decode_progress,
    decode_report,
    decode_state,
    decode_wait,
    encode,
)
from broker.contract.topics import parse
from broker.errors import BadPayload, BadTopic, ProtocolError
from broker.mqtt.connecting import encode_connect
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import VERSIONS
from broker.mqtt.packets import Connect
from broker.security.rules import may_publish, may_subscribe
from fog_node.intake.submissions import Intake
from fog_node.jobs.refusal import Refused
from fog_tasks.loading import load

INTAKE = Intake("fog-a", load([]), max_payload=10_000)
TOPICS = st.lists(
    st.sampled_from(
        ["fog", "tasks", "light", "sum", "mesh", "nodes", "me", "", "+", "#", "$", "a\n", "\u202e"]
    )
    | st.text(max_size=5),
    max_size=9,
).map("/".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["$args", "$deadline", "$reply", "a"]), inner)
    ),
    max_leaves=8,
)
Decode = Callable[[bytes], object]
DECODERS: tuple[Decode, ...] = (
    decode_hand_off,
    decode_report,
    decode_state,
    decode_catalog,
    decode_outcome,
    decode_progress,
    decode_wait,
)
STRUCTS = (HandOff, Report, NodeState, Catalog, Outcome, Progress, Wait)
FIELDS = sorted({field for one in STRUCTS for field in one.__struct_fields__})


@given(st.sampled_from(VERSIONS), st.lists(st.binary(max_size=300), max_size=5))
def test_a_framer_takes_any_bytes_in_any_pieces(version: int, pieces: list[bytes]) -> None:
    framer = Framer(1000)
    with contextlib.suppress(ProtocolError):
        for piece in (encode_connect(Connect(version=version)), *pieces):
            list(framer.feed(piece))


@given(
    topic=TOPICS,
    payload=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_any_submission_becomes_a_job_or_is_refused(topic: str, payload: bytes) -> None:
    message = Message(topic=f"fog/tasks/light/{topic}", payload=payload, client_id="me")
    with contextlib.suppress(Refused):
        assert INTAKE.read_task(message, key=1, now=0.0).reply.startswith("fog/results/")


@given(topic=TOPICS)
def test_any_topic_is_parsed_or_bad(topic: str) -> None:
    with contextlib.suppress(BadTopic):
        assert str(parse(topic)) == topic


@given(st.binary(max_size=300))
def test_what_neighbours_send_is_read_or_bad(payload: bytes) -> None:
    for decode in DECODERS:
        with contextlib.suppress(BadPayload):
            decode(payload)


@given(st.lists(JSON), st.sampled_from(DECODERS), st.data())
def test_what_neighbours_send_may_have_any_values(
    values: list[object], decode: Decode, data: st.DataObject
) -> None:
    """Fields of the right names with values of any kind, as JSON and as MessagePack."""
    names = data.draw(st.lists(st.sampled_from(FIELDS), min_size=len(values), max_size=len(values)))
    fields = dict(zip(names, values, strict=True))
    for write in (msgspec.json.encode, msgspec.msgpack.encode):
        with contextlib.suppress(BadPayload, OverflowError):
            decode(write(fields))


@given(
    topic=TOPICS,
    payload=st.binary(max_size=200)
    | st.builds(
        HandOff,
        device=st.text(max_size=5),
        id=st.text(max_size=5),
        payload=st.binary(max_size=50),
        budget_ms=st.none() | st.floats(),
        route=st.lists(st.text(max_size=3), max_size=5).map(tuple),
        max_hops=st.none() | st.integers(-(2**63), 2**63 - 1),
    ).map(encode),
)
def test_any_hand_off_becomes_a_job_or_is_refused(topic: str, payload: bytes) -> None:
    message = Message(topic=f"fog/mesh/here/tasks/light/{topic}", payload=payload, client_id="fog-b")
    with contextlib.suppress(Refused, BadTopic, BadPayload):
        job = INTAKE.read_hand_off(message, key=1, now=0.0)
        assert job.reply == f"fog/mesh/{job.origin}/results/{topic.rpartition('/')[2]}"


@given(version=st.sampled_from(VERSIONS), pieces=st.lists(st.binary(max_size=300), max_size=5))
def test_a_link_reads_what_any_broker_sends_or_gives_it_up(version: int, pieces: list[bytes]) -> None:
    framer = Framer(1000, version=version)
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            list(framer.feed(piece))


@given(wanted=TOPICS, topic=TOPICS)
def test_any_filter_is_answered(wanted: str, topic: str) -> None:
    if is_filter(wanted):
        assert matches(wanted, topic) == FilterSet([wanted]).matches(topic)


@given(topic=TOPICS)
def test_a_device_never_speaks_for_another(topic: str) -> None:
    """Whatever it may publish names itself or nobody, and it may not read what it is not to."""
    me = Identity("me", Role.DEVICE)
    if may_publish(me, topic):
        levels = topic.split("/")
        assert levels[:2] in (["fog", "tasks"], ["fog", "cancel"])
        device = levels[4:5] if levels[1] == "tasks" else levels[2:3]
        assert device in ([], ["me"])
    if may_subscribe(me, topic):
        assert topic.split("/")[1] in ("results", "progress", "nodes") or topic.startswith("$share/")
