"""Packets: what is written is read again, and garbage is refused and nothing worse."""

import contextlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from broker.engines.embedded.codec.decoding import Framer
from broker.engines.embedded.codec.packets import (
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Connect,
    Packet,
    Publish,
    encode_ack,
    encode_publish,
    encode_text,
)
from broker.errors import ProtocolError
from tests.broker.engines.embedded.raw_client import connect_packet, packet, publish_packet

GREETING = connect_packet("me")


def frames(*pieces: bytes) -> list[Packet]:
    framer = Framer(1 << 20)
    return [one for piece in pieces for one in framer.feed(piece)]


@given(
    topic=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="+#\0"), min_size=1, max_size=50
    ),
    payload=st.binary(max_size=300),
    qos=st.integers(0, 2),
    retain=st.booleans(),
    number=st.integers(1, 65_535),
)
def test_what_is_written_is_read_again(
    topic: str, payload: bytes, qos: int, number: int, *, retain: bool
) -> None:
    data = encode_publish(encode_text(topic), payload, qos=qos, retain=retain, packet_id=number)
    found = frames(GREETING, data)[1]
    assert found == Publish(topic, payload, qos, retain, packet_id=number if qos else 0)


@given(st.sampled_from([PUBACK, PUBREC, PUBREL, PUBCOMP]), st.integers(1, 65_535))
def test_acknowledgements_are_read_again(kind: int, number: int) -> None:
    assert frames(GREETING, encode_ack(kind, number))[1] == Ack(kind, number)


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_a_protocol_error_and_nothing_else(data: bytes, greeted: bool) -> None:
    with contextlib.suppress(ProtocolError):
        frames(GREETING * greeted, data)


@given(st.integers(1, 14), st.integers(0, 15), st.binary(max_size=60))
def test_a_garbled_body_is_a_protocol_error_and_nothing_else(kind: int, flags: int, body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        frames(GREETING, packet(kind, body, flags=flags))


@given(st.binary(max_size=60), st.integers(0, 60))
def test_a_garbled_connect_is_a_protocol_error_and_nothing_else(data: bytes, at: int) -> None:
    with contextlib.suppress(ProtocolError):
        frames(packet(1, GREETING[2 : 2 + at] + data))


@given(st.lists(st.integers(0, 600), max_size=20))
def test_packets_may_be_cut_anywhere(cuts: list[int]) -> None:
    """The same packets come out, however the bytes came in."""
    data = GREETING + publish_packet("a/b", b"x" * 400, qos=1) + packet(PINGREQ) + publish_packet("c", b"y")
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(places)]
    assert frames(*pieces) == frames(data)


def test_a_connect_is_read_whole() -> None:
    found = frames(connect_packet("me", clean=False, keepalive=7, username="u", password="p"))
    assert found == [Connect("me", clean=False, keepalive=7, username="u", password=b"p")]
