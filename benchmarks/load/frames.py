"""MQTT 3.1.1 and 5 as bytes, as far as devices under load need it. No I/O."""

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBACK = 0x90

NUMBER_DIGITS = 9
"""Every task's id is a number of this many digits, so that all frames of a run have one length."""

Packet = tuple[int, int, int]
"""The first byte of a packet, and where its body begins and ends."""


def text(value: str) -> bytes:
    """A string with its length before it."""
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def frame(first: int, body: bytes) -> bytes:
    """A packet: its first byte, its length, its body."""
    return _head(first, len(body)) + body


def _head(first: int, length: int) -> bytes:
    head = bytearray((first,))
    while True:
        length, low = length >> 7, length & 0x7F
        head.append(low | (0x80 if length else 0))
        if not length:
            return bytes(head)


def no_properties(version: int) -> bytes:
    """What MQTT 5 says where it has nothing to say."""
    return b"\0" if version == 5 else b""


def connect_frame(client_id: str, version: int = 4) -> bytes:
    """CONNECT with a clean session and no keepalive."""
    head = text("MQTT") + bytes((version, 2, 0, 0))
    return frame(0x10, head + no_properties(version) + text(client_id))


def subscribe_frame(filter: str, qos: int, version: int = 4) -> bytes:
    """SUBSCRIBE to one filter."""
    return frame(0x82, b"\0\x01" + no_properties(version) + text(filter) + bytes((qos,)))


def puback_frame(packet_id: bytes) -> bytes:
    """PUBACK for a packet id as it came."""
    return b"\x40\x02" + packet_id


def publish_frame(topic: str, payload: bytes, packet_id: int) -> bytes:
    """PUBLISH with QoS 1."""
    return frame(0x32, text(topic) + packet_id.to_bytes(2, "big") + payload)


class PublishTemplate:
    """PUBLISH with QoS 1 to topics that differ in the number at their end: everything else is built once."""

    def __init__(self, topic: str, payload: bytes, version: int = 4) -> None:
        topic_length = len(topic.encode()) + NUMBER_DIGITS
        payload = no_properties(version) + payload
        head = _head(0x32, 2 + topic_length + 2 + len(payload))
        self._before = head + topic_length.to_bytes(2, "big") + topic.encode()
        self._payload = payload

    def frame(self, number: int, packet_id: int) -> bytes:
        """The packet for the task of this number."""
        return b"%b%09d%b%b" % (self._before, number, packet_id.to_bytes(2, "big"), self._payload)


def split(data: bytes) -> tuple[list[Packet], int]:
    """The whole packets at the beginning of `data`, and how many bytes they are."""
    packets: list[Packet] = []
    size = len(data)
    at = 0
    while size - at >= 2:
        first, low = data[at], data[at + 1]
        body = at + 2
        if low > 0x7F:
            length, shift = low & 0x7F, 7
            while low > 0x7F:
                if body == size:
                    return packets, at
                low = data[body]
                length |= (low & 0x7F) << shift
                shift += 7
                body += 1
        else:
            length = low
        end = body + length
        if end > size:
            break
        packets.append((first, body, end))
        at = end
    return packets, at
