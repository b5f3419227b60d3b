"""What MQTT 3.1 and 3.1.1 do not allow, and how it is answered: as Mosquitto does."""

from pathlib import Path

import pytest

from tests.broker.engines.embedded.conftest import embedded, real_mosquitto
from tests.broker.engines.embedded.raw_client import (
    CONNACK,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    Arrived,
    Place,
    Will,
    connect_packet,
    packet,
    publish_packet,
    text,
)

UNWANTED = ("\0", "\x01", "\x1f", "\x7f", "\x9f", "\ufdd0", "\uffff")
"""Characters that have no place in a topic, a filter or a name."""

OLD_AND_NEW = pytest.mark.parametrize(("name", "level"), [("MQIsdp", 3), ("MQTT", 4)], ids=["3.1", "3.1.1"])


@pytest.mark.parametrize(
    "data",
    [
        connect_packet("me"),
        publish_packet("a/+", b""),
        publish_packet("", b"x"),
        publish_packet("a", b"", qos=3),
        publish_packet("a", b"", qos=1, packet_id=0),
        packet(PUBLISH, b"\0\x09a"),
        packet(PUBLISH, b"\0\x01\xff"),
        packet(8, b"\0\x01", flags=2),
        packet(8, b"\0\x01" + text("a") + b"\x03", flags=2),
        packet(8, b"\0\x01" + text("a/#/b") + b"\0", flags=2),
        packet(8, b"\0\x01" + text("") + b"\0", flags=2),
        packet(8, b"\0\x01" + text("a") + b"\0", flags=0),
        packet(8, b"\0\0" + text("a") + b"\0", flags=2),
        publish_packet("/".join("a" * 300), b""),
        packet(10, b"\0\x01", flags=2),
        packet(PUBREL, b"\0\x01", flags=0),
        packet(15),
        packet(CONNACK, b"\0\0"),
        *(publish_packet(f"a{character}", b"") for character in UNWANTED),
        *(packet(8, b"\0\x01" + text(f"a{character}") + b"\0", flags=2) for character in UNWANTED),
    ],
)
async def test_a_malformed_packet_closes(broker_of_3: Place, data: bytes) -> None:
    client = await broker_of_3.connect("me")
    client.send(data)
    assert await client.closed()


@pytest.mark.parametrize(
    ("qos", "kinds"),
    [
        (1, (PUBREC,)),
        (1, (PUBCOMP,)),
        (2, (PUBACK,)),
        (2, (PUBCOMP,)),
        (2, (PUBREC, PUBACK)),
    ],
)
@OLD_AND_NEW
async def test_an_acknowledgement_of_the_wrong_kind_closes(
    broker_of_3: Place, qos: int, kinds: tuple[int, ...], name: str, level: int
) -> None:
    """Of something that is on its way; nothing is lost by it."""
    client = await broker_of_3.connect("me", clean=False, name=name, level=level)
    await client.subscribe(("a", qos))
    sender = await broker_of_3.connect()
    await sender.publish("a", b"x", qos=qos)
    message = await client.expect(PUBLISH)
    for kind in kinds:
        await client.ping()
        client.send_ack(kind, message.packet_id)
    assert await client.closed()
    client = await broker_of_3.connect("me", clean=False, present=True)
    assert len(await client.ping()) == 1


async def test_the_old_protocol_is_spoken(broker_of_3: Place) -> None:
    """MQTT 3.1, as old clients speak it."""
    client = await broker_of_3.connect("old", name="MQIsdp", level=3)
    await client.subscribe(("a", 1))
    await client.publish("a", b"x", qos=1)
    assert await client.pending() == [Arrived("a", b"x", 1)]


async def test_the_old_protocol_has_no_word_for_a_session_that_was_there(broker_of_3: Place) -> None:
    """The byte for it is reserved in MQTT 3.1."""
    for _ in range(2):
        client = await broker_of_3.open()
        client.send(connect_packet("old", clean=False, name="MQIsdp", level=3))
        assert (await client.expect(CONNACK)).body == b"\0\0"
        await client.disconnect()


async def test_the_old_protocol_needs_a_client_identifier(broker_of_3: Place) -> None:
    client = await broker_of_3.open()
    client.send(connect_packet("", name="MQIsdp", level=3))
    assert (await client.expect(CONNACK)).body == b"\0\2"
    assert await client.closed()


@pytest.mark.parametrize(
    ("name", "level"), [("MQIsdp", 4), ("MQIsdp", 5), ("MQIsdp", 2), ("MQTT", 3), ("MQTT", 6)]
)
async def test_a_level_that_nobody_knows_is_refused(broker_of_3: Place, name: str, level: int) -> None:
    client = await broker_of_3.open()
    client.send(connect_packet("me", name=name, level=level))
    assert (await client.expect(CONNACK)).body == b"\0\1"
    assert await client.closed()


@pytest.mark.parametrize("character", UNWANTED)
@OLD_AND_NEW
async def test_a_name_with_a_control_character_closes(
    broker_of_3: Place, character: str, name: str, level: int
) -> None:
    for greeting in (
        connect_packet(f"a{character}", name=name, level=level),
        connect_packet("me", will=Will(f"a{character}", b"x"), name=name, level=level),
    ):
        client = await broker_of_3.open()
        client.send(greeting)
        assert await client.closed()


@pytest.mark.parametrize("character", UNWANTED)
async def test_a_user_name_with_a_control_character_closes(broker_of_3: Place, character: str) -> None:
    """In 3.1.1; Mosquitto passes it over in 3.1, where our broker closes too."""
    client = await broker_of_3.open()
    client.send(connect_packet("me", username=f"a{character}", password="p"))
    assert await client.closed()


async def test_a_filter_too_deep_is_refused(tmp_path: Path) -> None:
    """By a code of its own, where Mosquitto closes. Both have their bound at 200 levels or one more."""
    deep, deeper = "/".join("a" * 200), "/".join("a" * 202)
    async with embedded() as (_, ours), real_mosquitto(tmp_path) as theirs:
        client, other = await ours.connect(), await theirs.connect()
        for one in (client, other):
            assert await one.subscribe((deep, 1)) == [1]
        assert await client.subscribe((deeper, 1), ("b", 1)) == [0x80, 1]
        other.send(packet(8, b"\0\1" + text(deeper) + b"\1", flags=2))
        assert await other.closed()
