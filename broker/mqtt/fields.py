"""The fields that packets are made of (MQTT 5, 1.5): read strictly, and written. No I/O."""

from broker.contract.topics import NO_TEXT
from broker.errors import ProtocolError


def read_length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a number of variable length; gives it and where it ends. Raises ProtocolError."""
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                raise ProtocolError("a length is written with more bytes than it needs")
            return value, at
        shift += 7
        if shift > 21:
            break
    raise ProtocolError("a length has more than four bytes, or ends in the middle")


def read_data(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """Read bytes with their length before them; gives them and where they end. Raises ProtocolError."""
    start = at + 2
    if start > end or (at := start + (data[at] << 8 | data[at + 1])) > end:
        raise ProtocolError("a packet ends in the middle of a field")
    return data[start:at], at


def read_text(data: bytes, at: int, end: int) -> tuple[str, int]:
    """Read text with its length before it; gives it and where it ends. Raises ProtocolError."""
    taken, at = read_data(data, at, end)
    try:
        text = taken.decode()
    except UnicodeDecodeError as fault:
        raise ProtocolError("a text is not UTF-8") from fault
    if "\0" in text:
        raise ProtocolError("a text contains the character U+0000")
    return text, at


def check_name(text: str) -> None:
    """Raises ProtocolError for what has no place in a topic, a filter or somebody's name: as Mosquitto."""
    # Nearly all are printable, which is seen at once.
    if not text.isprintable() and (found := NO_TEXT.search(text)) is not None:
        raise ProtocolError(f"{text[:100]!r} contains the character U+{ord(found[0]):04X}")


def check_topic(topic: str) -> None:
    """Raises ProtocolError for what is not a topic that can be published to."""
    if not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise ProtocolError(f"{topic[:100]!r} is not a topic that can be published to")


def write_length(value: int) -> bytes:
    """Write a number of variable length."""
    if value < 0x80:
        return bytes((value,))
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def write_data(data: bytes) -> bytes:
    """Write bytes with their length before them. Raises OverflowError beyond 65,535."""
    return len(data).to_bytes(2, "big") + data


def write_text(text: str) -> bytes:
    """Write a text with its length before it. Raises OverflowError beyond 65,535 bytes."""
    return write_data(text.encode())
