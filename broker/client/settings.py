"""How a client of a broker behaves."""

from dataclasses import dataclass

from broker.contract.message import Message
from broker.contract.mqtt_version import MqttVersion
from broker.mqtt.kinds import MAX_PACKET
from broker.security.certificates import TlsFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Durations in seconds.

    Without a version given by hand in `mqtt`, MQTT 5 is spoken where the broker takes it, and else 3.1.1.
    At most `inflight` published messages are unacknowledged at the broker, and `queued` are kept in all.
    With MQTT 5 the broker hands over at most `unstored` that we have not acknowledged. `largest` is the size
    in bytes of the largest packet that it may send: with MQTT 5 it keeps larger ones, with 3.1.1 the
    connection ends. With `live`, messages that are retained already are not asked for, and with MQTT 5 a
    message tells whether it was published to be retained. Under the filters in `kept` they are heard, too,
    and tell whether they were there before us.
    """

    client_id: str
    keepalive: int = 15
    connect_timeout: float = 5.0
    inflight: int = 100
    queued: int = 10_000
    unstored: int = 1_000
    largest: int = MAX_PACKET
    persistent: bool = True
    session_expiry: int = 24 * 3600
    mqtt: MqttVersion | None = None
    live: bool = False
    kept: tuple[str, ...] = ()
    will: Message | None = None
    tls: TlsFiles = TlsFiles()
    back_off_base: float = 0.2
    back_off_cap: float = 10.0
