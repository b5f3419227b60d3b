"""The properties of MQTT 5 packets: bytes to a dictionary, and those that we send to bytes. No I/O."""

from broker.errors import ProtocolError

MESSAGE_EXPIRY = 0x02
RESPONSE_TOPIC = 0x08
CORRELATION = 0x09
SESSION_EXPIRY = 0x11
SERVER_KEEPALIVE = 0x13
RECEIVE_MAXIMUM = 0x21
MAX_PACKET_SIZE = 0x27

_SUBSCRIPTION_ID = 0x0B
_USER_PROPERTY = 0x26

_NUMBER_SIZES = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((SERVER_KEEPALIVE, RECEIVE_MAXIMUM, 0x22, 0x23), 2),
    **dict.fromkeys((MESSAGE_EXPIRY, SESSION_EXPIRY, 0x18, MAX_PACKET_SIZE), 4),
}
_WITH_LENGTH = frozenset((0x03, RESPONSE_TOPIC, CORRELATION, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F))


class Properties:
    """What a packet's properties say; user properties and subscription identifiers are passed over."""

    __slots__ = ("_found",)

    def __init__(self, data: bytes) -> None:
        """Read them all. Raises ProtocolError."""
        self._found: dict[int, bytes] = {}
        at = 0
        while at < len(data):
            kind = data[at]
            start, at = _extent(kind, data, at + 1)
            if at > len(data):
                raise ProtocolError("a property ends in the middle")
            self._found[kind] = data[start:at]

    def number(self, kind: int) -> int | None:
        """A number, or None where it is absent."""
        found = self._found.get(kind)
        return None if found is None else int.from_bytes(found, "big")

    def data(self, kind: int) -> bytes | None:
        """Bytes, or None where they are absent."""
        return self._found.get(kind)

    def text(self, kind: int) -> str | None:
        """A text, or None where it is absent. Raises UnicodeDecodeError."""
        found = self._found.get(kind)
        return None if found is None else found.decode()


def _extent(kind: int, data: bytes, at: int) -> tuple[int, int]:
    """Where the value of a property begins and ends."""
    size = _NUMBER_SIZES.get(kind)
    if size is not None:
        return at, at + size
    if kind in _WITH_LENGTH:
        return _counted(data, at)
    if kind == _USER_PROPERTY:
        return at, _counted(data, _counted(data, at)[1])[1]
    if kind == _SUBSCRIPTION_ID:
        return at, read_length(data, at)[1]
    raise ProtocolError(f"MQTT has no property {kind:#04x}")


def _counted(data: bytes, at: int) -> tuple[int, int]:
    start = at + 2
    return start, start + int.from_bytes(data[at:start], "big")


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length; gives it and where it ends. Raises ProtocolError."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 21:
            break
    raise ProtocolError("a length has more than four bytes, or ends in the middle")


def write_length(value: int) -> bytes:
    """Write a number of variable length."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def write_properties(numbers: dict[int, int], texts: dict[int, bytes]) -> bytes:
    """Write properties with their length before them."""
    written = bytearray()
    for kind, number in numbers.items():
        written.append(kind)
        written += number.to_bytes(_NUMBER_SIZES[kind], "big")
    for kind, data in texts.items():
        written.append(kind)
        written += len(data).to_bytes(2, "big")
        written += data
    return write_length(len(written)) + bytes(written)
