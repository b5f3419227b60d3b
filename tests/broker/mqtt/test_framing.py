"""Packets: what is written is read again, however it is cut up; garbage is refused and nothing worse."""

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ProtocolError, UnsupportedVersion
from broker.mqtt.framing import MAX_CONNECT, MAX_CONTROL, Framer
from broker.mqtt.kinds import PINGREQ, V5, V31, V311, VERSIONS
from broker.mqtt.packets import Connect, Packet, Publish
from broker.mqtt.properties import Property, pack
from broker.mqtt.reasons import Reason
from broker.mqtt.writing import encode
from tests.broker.engines.embedded.raw_client import connect_packet, packet, publish_packet
from tests.broker.mqtt.strategies import VERSION, connects, from_broker, from_client

GREETING = connect_packet("me")


def frames(*pieces: bytes) -> list[Packet]:
    framer = Framer(1 << 20)
    return [one for piece in pieces for one in framer.feed(piece)]


def greeting(version: int) -> bytes:
    return encode(Connect(version=version, client_id="me"), version)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(one % (len(data) + 1) for one in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@given(VERSION, st.data(), CUTS)
def test_what_a_client_writes_is_read_again(version: int, data: st.DataObject, cuts: list[int]) -> None:
    """Though it comes in any pieces."""
    sent = [data.draw(connects(version)), *data.draw(st.lists(from_client(version), max_size=5))]
    stream = b"".join(encode(one, version) for one in sent)
    assert frames(*cut(stream, cuts)) == sent


@given(VERSION, st.data(), CUTS)
def test_what_a_broker_writes_is_read_again(version: int, data: st.DataObject, cuts: list[int]) -> None:
    sent = data.draw(st.lists(from_broker(version), min_size=1, max_size=5))
    stream = b"".join(encode(one, version) for one in sent)
    framer = Framer(version=version)
    assert [one for piece in cut(stream, cuts) for one in framer.feed(piece)] == sent


@given(VERSION, st.data())
def test_a_packet_that_is_cut_short_is_refused(version: int, data: st.DataObject) -> None:
    """What is left may be another packet that is whole, and is nothing worse than a fault."""
    whole = encode(data.draw(from_client(version)), version)
    body = whole[2:] if whole[1] < 0x80 else whole[3:]
    for end in range(len(body)):
        with contextlib.suppress(ProtocolError):
            frames(greeting(version), packet(whole[0] >> 4, body[:end], flags=whole[0] & 0x0F))


@given(VERSION, st.data())
def test_a_connect_that_is_cut_short_is_refused(version: int, data: st.DataObject) -> None:
    whole = encode(data.draw(connects(version)), version)
    body = whole[2:] if whole[1] < 0x80 else whole[3:]
    for end in range(len(body)):
        with pytest.raises(ProtocolError):
            frames(packet(1, body[:end]))


@given(VERSION, st.binary(max_size=200), st.booleans())
def test_garbage_is_a_protocol_error_and_nothing_else(version: int, data: bytes, greeted: bool) -> None:
    with contextlib.suppress(ProtocolError):
        frames(greeting(version) * greeted, data)
    with contextlib.suppress(ProtocolError):
        list(Framer(version=version).feed(data))


@given(VERSION, st.integers(0, 15), st.integers(0, 15), st.binary(max_size=60))
def test_a_garbled_body_is_a_protocol_error_and_nothing_else(
    version: int, kind: int, flags: int, body: bytes
) -> None:
    data = packet(kind, body, flags=flags)
    with contextlib.suppress(ProtocolError):
        frames(greeting(version), data)
    with contextlib.suppress(ProtocolError):
        list(Framer(version=version).feed(data))


@given(VERSION, st.data(), st.integers(0, 300), st.binary(min_size=1, max_size=3))
def test_a_flipped_byte_is_a_protocol_error_and_nothing_else(
    version: int, data: st.DataObject, at: int, flipped: bytes
) -> None:
    whole = encode(data.draw(connects(version) | from_client(version) | from_broker(version)), version)
    at %= len(whole)
    garbled = whole[:at] + flipped + whole[at + len(flipped) :]
    for framer in (Framer(), Framer(version=version)):
        with contextlib.suppress(ProtocolError):
            list(framer.feed(garbled))


@given(VERSION, st.binary(max_size=60), st.integers(0, 60))
def test_a_garbled_connect_is_a_protocol_error_and_nothing_else(version: int, data: bytes, at: int) -> None:
    with contextlib.suppress(ProtocolError):
        frames(packet(1, greeting(version)[2 : 2 + at] + data))


@given(st.lists(st.integers(0, 600), max_size=20))
def test_packets_may_be_cut_anywhere(cuts: list[int]) -> None:
    """The same packets come out, however the bytes came in."""
    data = GREETING + publish_packet("a/b", b"x" * 400, qos=1) + packet(PINGREQ) + publish_packet("c", b"y")
    assert frames(*cut(data, cuts)) == frames(data)


def test_a_connect_is_read_whole() -> None:
    found = frames(connect_packet("me", clean=False, keepalive=7, username="u", password="p"))
    assert found == [
        Connect(version=V311, client_id="me", clean_start=False, keepalive=7, username="u", password=b"p")
    ]


def test_a_version_that_is_not_served_is_told_apart() -> None:
    framer = Framer(spoken=(V31, V311))
    with pytest.raises(
        UnsupportedVersion, match=r"MQTT 5 is not spoken here; set the client to MQTT 3\.1\.1"
    ):
        list(framer.feed(greeting(V5)))


@pytest.mark.parametrize(
    ("name", "level"), [("MQTT", 2), ("MQTT", 3), ("MQTT", 6), ("MQIsdp", 2), ("MQIsdp", 4), ("MQIsdp", 5)]
)
def test_a_level_that_nobody_knows_is_told_apart(name: str, level: int) -> None:
    body = len(name).to_bytes(2, "big") + name.encode() + bytes((level, 2, 0, 0, 0, 0))
    with pytest.raises(UnsupportedVersion) as caught:
        frames(packet(1, body))
    assert caught.value.level == level


@pytest.mark.parametrize("version", VERSIONS)
def test_the_version_is_known_even_where_the_connect_is_garbled(version: int) -> None:
    """So that it can be refused in its own words."""
    framer = Framer()
    with pytest.raises(ProtocolError):
        list(framer.feed(packet(1, greeting(version)[2:-1])))
    assert framer.version == version


def test_a_size_is_refused_before_the_body_is_there() -> None:
    framer = Framer(1000)
    list(framer.feed(GREETING))
    with pytest.raises(ProtocolError) as caught:
        list(framer.feed(b"\x30\xe6\x07"))  # 998 bytes, and 3 before them
    assert caught.value.reason == 0x95
    list(Framer(1001, version=V311).feed(b"\x30\xe6\x07"))


def test_nobody_unknown_makes_the_broker_hold_much() -> None:
    with pytest.raises(ProtocolError):
        list(Framer().feed(packet(1, b"x" * MAX_CONNECT)[:5]))


@pytest.mark.parametrize("version", VERSIONS)
def test_only_a_publish_may_be_very_large(version: int) -> None:
    """A million filters in one SUBSCRIBE would hold up everybody else."""
    framer = Framer()
    list(framer.feed(greeting(version)))
    large = packet(3, b"x" * MAX_CONTROL)[:5]
    assert list(framer.feed(large)) == []
    framer = Framer()
    list(framer.feed(greeting(version)))
    with pytest.raises(ProtocolError, match="is larger than the 262144 that are taken") as refused:
        list(framer.feed(packet(8, b"x" * MAX_CONTROL, flags=2)[:5]))
    assert refused.value.reason == Reason.PACKET_TOO_LARGE


def test_a_broker_takes_no_million_user_properties_and_a_client_does() -> None:
    """What another broker passes on comes again if the connection ends."""
    passed = pack({Property.USER_PROPERTY: (("", ""),) * 60_000})
    sent = encode(Publish("a", b"", passed=passed), V5)
    (arrived,) = Framer(version=V5).feed(sent)
    assert arrived == Publish("a", b"", passed=passed)
    framer = Framer()
    list(framer.feed(greeting(V5)))
    with pytest.raises(ProtocolError, match="properties of 300000 bytes are more than") as refused:
        list(framer.feed(sent))
    assert refused.value.reason == Reason.PACKET_TOO_LARGE
