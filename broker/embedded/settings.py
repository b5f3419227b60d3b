"""How the embedded broker listens, and its limits. Durations in seconds, sizes in bytes."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from broker.settings import Address


@dataclass(frozen=True, kw_only=True)
class EmbeddedSettings:
    """Where the embedded broker listens and what it allows each client.

    `max_packet` bounds what a client may send in one packet; `window` how many messages of QoS 1
    and 2 are on their way to one client; `queue_messages` and `queue_bytes` what waits for it beyond
    that; `buffer_bytes` what its socket has not taken yet. What does not fit is dropped and counted.
    `store` is the file that sessions and retained messages are to survive in.
    """

    listen: Address = Address("127.0.0.1", 1883)
    websocket: Address | None = None
    tls: ssl.SSLContext | None = None
    websocket_tls: ssl.SSLContext | None = None
    store: Path | None = None
    max_packet: int = 8 * 1024 * 1024
    connect_timeout: float = 10.0
    keepalive_factor: float = 1.5
    window: int = 20
    queue_messages: int = 1_000
    queue_bytes: int = 8 * 1024 * 1024
    buffer_bytes: int = 1024 * 1024
    retained_messages: int = 10_000
    connections: int = 20_000
    subscriptions: int = 1_000
