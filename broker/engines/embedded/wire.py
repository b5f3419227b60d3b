"""What a connection asks of whatever carries its bytes."""

from typing import Protocol

from broker.contract.identity import Identity


class Wire(Protocol):
    """What carries a connection's bytes: a TCP socket or a WebSocket."""

    address: str
    certificate: Identity | None
    """Who the client's certificate says it is, where TLS has verified one."""

    def send(self, data: bytes) -> None:
        """Take bytes for the client; they leave with the next turn of the loop."""

    def close(self, *, linger: bool = False) -> None:
        """Close once what was sent has left; a second call does nothing.

        With `linger`, a client that still sends gets time to read why.
        """

    def hold(self, *, held: bool) -> None:
        """Read nothing more from the client, or go on."""

    @property
    def congested(self) -> bool:
        """Whether more bytes wait for the client than may."""
