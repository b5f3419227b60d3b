"""The parsers, on whatever bytes: they answer, or refuse in the one way that their callers expect."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from broker.access import Identity, Role, may_publish, may_subscribe
from broker.embedded.decoding import Framer
from broker.embedded.packets import ProtocolError, UnsupportedVersion
from broker.engine import Message
from broker.errors import BadPayload, BadTopic
from broker.messages import decode_catalog, decode_hand_off, decode_outcome, decode_report, decode_state
from broker.topics import parse
from fog_node.intake import Intake, Refused
from tasks.loading import load
from tests.broker.embedded.raw_client import connect_packet

INTAKE = Intake(load([]), max_payload=10_000)
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


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_a_framer_takes_any_bytes_in_any_pieces(pieces: list[bytes]) -> None:
    framer = Framer(1000)
    try:
        for piece in (connect_packet("a"), *pieces):
            list(framer.feed(piece))
    except (ProtocolError, UnsupportedVersion):
        pass


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
    for decode in (decode_hand_off, decode_report, decode_state, decode_catalog, decode_outcome):
        with contextlib.suppress(BadPayload):
            decode(payload)


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
