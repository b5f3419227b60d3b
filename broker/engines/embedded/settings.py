"""How the embedded broker listens, and its limits. Durations in seconds, sizes in bytes."""

from dataclasses import dataclass
from pathlib import Path

from broker.contract.address import Address
from broker.security.certificates import TlsFiles


@dataclass(frozen=True, kw_only=True)
class EmbeddedSettings:
    """Where the embedded broker listens and what it allows each client.

    `tls` is needed where `listen_tls` or `websocket_tls` is given. `keepalive_maximum` of 0 takes any
    keepalive, and none at all. `topic_bytes` and `topic_levels` bound topics and filters.

    `max_packet` bounds what a client may send in one packet. `window` is how many messages of QoS 1
    and 2 are on their way to one client; `queue_messages`, `queue_bytes` and `queue_age` bound what
    waits for it beyond that, and `buffer_bytes` what its socket has not taken yet. `pending_acks` is
    how many of a client's messages may wait for the node before it is read no further. What does
    not fit is dropped and counted. A limit of 0 on `sys_interval` turns `$SYS` off.

    `store` is the file in which persistent sessions, what waits for them and the retained messages
    survive the process; without it they live as long as the process does.
    """

    listen: Address | None = Address("127.0.0.1", 1883)
    websocket: Address | None = None
    listen_tls: Address | None = None
    websocket_tls: Address | None = None
    tls: TlsFiles | None = None
    store: Path | None = None
    max_packet: int = 8 * 1024 * 1024
    connect_timeout: float = 10.0
    keepalive_factor: float = 1.5
    keepalive_maximum: int = 0
    connections: int = 20_000
    connections_per_address: int = 5_000
    subscriptions: int = 1_000
    topic_bytes: int = 65_535
    topic_levels: int = 200
    window: int = 20
    pending_acks: int = 1_000
    queue_messages: int = 20_000
    queue_bytes: int = 8 * 1024 * 1024
    queue_age: float = 24 * 3600.0
    buffer_bytes: int = 1024 * 1024
    retained_messages: int = 10_000
    retained_bytes: int = 64 * 1024 * 1024
    sessions: int = 20_000
    session_expiry: float = 7 * 24 * 3600.0
    sys_interval: float = 10.0
