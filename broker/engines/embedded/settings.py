"""The limits of the embedded broker. Durations in seconds, sizes in bytes."""

from dataclasses import dataclass
from pathlib import Path

from broker.engines.own import OwnBroker
from broker.mqtt.kinds import VERSIONS


@dataclass(frozen=True, kw_only=True)
class EmbeddedSettings(OwnBroker):
    """The limits that only the embedded broker has, and its store.

    `topic_bytes` and `topic_levels` bound topics and filters. `queue_messages`, `queue_bytes` and `queue_age`
    bound what waits for a client whose window is full, and `buffer_bytes` what its socket has not taken yet.
    What the node says beyond `queue_bytes` waits in the store: `disk_bytes` for one, `all_disk_bytes` in all.
    `pending_acks` is how many of a client's messages may wait for the node before it is read no further. What
    does not fit is dropped and counted. A `sys_interval` of 0 turns `$SYS` off.

    `versions` of MQTT are served, by their protocol levels. A client of MQTT 5 may use `topic_aliases`.

    `store` is the file in which persistent sessions, what waits for them and the retained messages
    survive the process; without it they live as long as the process does.
    """

    store: Path | None = None
    connect_timeout: float = 10.0
    keepalive_factor: float = 1.5
    connections_per_address: int = 5_000
    subscriptions: int = 1_000
    topic_bytes: int = 65_535
    topic_levels: int = 200
    pending_acks: int = 1_000
    queue_messages: int = 20_000
    queue_bytes: int = 8 * 1024 * 1024
    disk_bytes: int = 256 * 1024 * 1024
    all_disk_bytes: int = 1024 * 1024 * 1024
    queue_age: float = 24 * 3600.0
    buffer_bytes: int = 1024 * 1024
    retained_messages: int = 10_000
    retained_bytes: int = 64 * 1024 * 1024
    sessions: int = 20_000
    session_expiry: float = 7 * 24 * 3600.0
    sys_interval: float = 10.0
    versions: frozenset[int] = frozenset(VERSIONS)
    topic_aliases: int = 10
