"""Text that is none is refused wherever it stands in a packet."""

import pytest

from broker.errors import ProtocolError
from broker.mqtt import kinds
from broker.mqtt.fields import read_text, write_text
from broker.mqtt.framing import Framer
from broker.mqtt.kinds import V5, VERSIONS
from broker.mqtt.packets import Connect
from broker.mqtt.properties import PAIR, TABLE, TEXT, Property, read_properties
from broker.mqtt.writing import encode
from tests.broker.engines.embedded.raw_client import packet, sized, text

MALFORMED = 0x81

ILL_FORMED = pytest.mark.parametrize(
    "said",
    [
        b"\xff",
        b"a\xc3",  # cut short
        b"\xc0\x80",  # longer than it need be
        b"\xed\xa0\x80",  # half of a surrogate pair
        b"\xed\xa0\xbd\xed\xb8\x80",  # both halves
        b"\xf4\x90\x80\x80",  # beyond the last character
        b"a\0b",
    ],
    ids=bytes.hex,
)


def field(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def complaint(data: bytes, version: int = 0) -> int:
    """Why a packet is refused: a CONNECT where there is no version, else what comes behind one."""
    framer = Framer()
    if version:
        list(framer.feed(encode(Connect(version=version), version)))
    with pytest.raises(ProtocolError) as caught:
        list(framer.feed(data))
    return caught.value.reason


@ILL_FORMED
def test_ill_formed_text_is_malformed(said: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_text(field(said), 0, 2 + len(said))
    assert caught.value.reason == MALFORMED


@pytest.mark.parametrize("version", VERSIONS)
@ILL_FORMED
def test_ill_formed_text_is_malformed_wherever_it_stands(said: bytes, version: int) -> None:
    """In a client's name, its user's, the topic of its will; in a topic and in a filter."""
    nothing = b"\0" if version == V5 else b""

    def connect(flags: int, fields: bytes) -> bytes:
        head = text(kinds.PROTOCOL_NAMES[version]) + bytes((version, flags | 2, 0, 0)) + nothing
        return packet(kinds.CONNECT, head + fields)

    assert complaint(connect(0, field(said))) == MALFORMED
    assert complaint(connect(0x80, text("me") + field(said))) == MALFORMED
    assert complaint(connect(0x04, text("me") + nothing + field(said) + field(b""))) == MALFORMED
    for kind, flags, body in (
        (kinds.PUBLISH, 0, field(said) + nothing),
        (kinds.SUBSCRIBE, 2, b"\0\1" + nothing + field(said) + b"\0"),
        (kinds.UNSUBSCRIBE, 2, b"\0\1" + nothing + field(said)),
    ):
        assert complaint(packet(kind, body, flags=flags), version) == MALFORMED


@pytest.mark.parametrize("kind", [kind for kind in Property if TABLE[kind].form in (TEXT, PAIR)])
@ILL_FORMED
def test_ill_formed_text_in_a_property_is_malformed(kind: Property, said: bytes) -> None:
    """A user property's name as well as its value, and a will's as well as a packet's."""
    well = field(b"a")
    values = (field(said) + well, well + field(said)) if TABLE[kind].form is PAIR else (field(said),)
    for where in TABLE[kind].packets:
        for value in values:
            data = sized(bytes((kind,)) + value)
            with pytest.raises(ProtocolError) as caught:
                read_properties(data, 0, len(data), where)
            assert caught.value.reason == MALFORMED


@pytest.mark.parametrize(
    ("longest", "too_long"), [("x" * 65_535, "x" * 65_536), ("\u20ac" * 21_845, "\u20ac" * 21_846)]
)
def test_a_text_has_65535_bytes_at_most(longest: str, too_long: str) -> None:
    """Bytes count, not characters."""
    written = write_text(longest)
    assert read_text(written, 0, len(written)) == (longest, 65_537)
    with pytest.raises(OverflowError):
        write_text(too_long)
