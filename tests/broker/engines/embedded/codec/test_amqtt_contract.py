"""What is used of amqtt: fails loudly when an upgrade changes it under us."""

import ast
from importlib.metadata import version
from pathlib import Path

import broker
from broker.engines.embedded.codec import packets


def test_the_version_is_the_one_that_was_read() -> None:
    """A new minor version is to be read again before it is used."""
    assert version("amqtt").startswith("0.12.")


def test_one_module_alone_imports_amqtt() -> None:
    folder = Path(broker.__file__).parent
    importers = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            if any(name.split(".")[0] == "amqtt" for name in names):
                importers.add(path.relative_to(folder).as_posix())
    assert importers == {"engines/embedded/codec/packets.py"}


def test_packet_types_have_the_numbers_of_the_standard() -> None:
    names = (
        *("CONNECT", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "UNSUBSCRIBE"),
        *("PINGREQ", "PINGRESP", "DISCONNECT"),
    )
    found = {name: getattr(packets, name) for name in names}
    assert list(found.values()) == [1, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14], found


def test_packets_are_written_as_the_standard_says() -> None:
    """Byte for byte, those that amqtt writes for us."""
    assert packets.PING_ANSWER == b"\xd0\0"
    assert packets.encode_connack(0, session_present=True) == b"\x20\x02\x01\0"
    assert packets.encode_connack(5) == b"\x20\x02\0\x05"
    assert packets.encode_suback(258, [0, 1, 2, 0x80]) == b"\x90\x06\x01\x02\0\x01\x02\x80"
    assert packets.encode_unsuback(258) == b"\xb0\x02\x01\x02"


def test_a_long_suback_has_a_long_length() -> None:
    assert packets.encode_suback(1, [0] * 300)[:3] == b"\x90\xae\x02"
