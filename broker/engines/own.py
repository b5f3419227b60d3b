"""What a broker of one's own is told, whichever engine it is: ports, TLS and limits."""

from dataclasses import dataclass

from broker.contract.address import Address
from broker.security.certificates import TlsFiles


@dataclass(frozen=True, kw_only=True)
class OwnBroker:
    """Where the broker listens, and what it allows each client. Sizes in bytes.

    `tls` is needed where `listen_tls` or `websocket_tls` is given. `max_packet` bounds what a client may send
    in one packet. A `keepalive_maximum` of 0 takes any keepalive, and none at all. `window` is how many
    messages of QoS 1 and 2 are on their way to one client.
    """

    listen: Address | None = Address("localhost", 1883)
    websocket: Address | None = None
    listen_tls: Address | None = None
    websocket_tls: Address | None = None
    tls: TlsFiles = TlsFiles()
    max_packet: int = 8 * 1024 * 1024
    connections: int = 20_000
    keepalive_maximum: int = 0
    window: int = 20
