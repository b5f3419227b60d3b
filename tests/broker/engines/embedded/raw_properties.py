"""The properties of MQTT 5 packets, written and read by hand."""

from tests.broker.engines.embedded.raw_client import take_varint, text, varint

PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION = 0x01, 0x02, 0x03, 0x08, 0x09
SUBSCRIPTION_ID, SESSION_EXPIRY, ASSIGNED_ID, SERVER_KEEPALIVE = 0x0B, 0x11, 0x12, 0x13
REQUEST_PROBLEM, WILL_DELAY, REASON_STRING, RECEIVE_MAXIMUM = 0x17, 0x18, 0x1F, 0x21
ALIAS_MAXIMUM, ALIAS, USER_PROPERTY, MAXIMUM_PACKET = 0x22, 0x23, 0x26, 0x27

BYTES = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
"""The size of numbers; that of a subscription identifier varies, and all others are text or data."""

DATA = (0x09, 0x16)

Value = int | str | bytes | tuple[str, str]


def prop(kind: int, value: Value) -> bytes:
    """One property."""
    match value:
        case int():
            written = varint(value) if kind == SUBSCRIPTION_ID else value.to_bytes(BYTES[kind], "big")
        case str():
            written = text(value)
        case bytes():
            written = len(value).to_bytes(2, "big") + value
        case name, said:
            written = text(name) + text(said)
    return bytes((kind,)) + written


def props(data: bytes) -> list[tuple[int, Value]]:
    """All properties in their order."""
    found: list[tuple[int, Value]] = []
    while data:
        kind, data = data[0], data[1:]
        value: Value
        if kind == SUBSCRIPTION_ID:
            value, data = take_varint(data)
        elif size := BYTES.get(kind):
            value, data = int.from_bytes(data[:size], "big"), data[size:]
        else:
            field, data = _field(data)
            value = field if kind in DATA else field.decode()
            if kind == USER_PROPERTY:
                said, data = _field(data)
                value = field.decode(), said.decode()
        found.append((kind, value))
    return found


def _field(data: bytes) -> tuple[bytes, bytes]:
    end = 2 + int.from_bytes(data[:2], "big")
    return data[2:end], data[end:]
