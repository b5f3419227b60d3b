"""Opens the ports of an address, and tells before anything is started whether they are free."""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from broker.contract.address import Address
from broker.errors import EngineError

_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def open_ports(address: Address, *, backlog: int) -> list[socket.socket]:
    """Listen on each address that the host stands for; may wait for the host's name to be looked up.

    What this machine does not have is left out, unless there is no other: many have no ::1. With port 0 all
    get the first one's. Raises OSError.
    """
    opened: list[socket.socket] = []
    missing: list[OSError] = []
    try:
        for family, place in dict.fromkeys(_places(address)):
            port = opened[0].getsockname()[1] if opened else address.port
            try:
                opened.append(
                    socket.create_server((place[0], port, *place[2:]), family=family, backlog=backlog)
                )
            except OSError as fault:
                if fault.errno not in _NOT_HERE:
                    raise
                missing.append(fault)
        if not opened:
            raise missing[0]
    except OSError:
        for one in opened:
            one.close()
        raise
    return opened


def check_free(ports: Mapping[str, Address | None]) -> None:
    """Raise EngineError for the first port that cannot be opened; `ports` are addresses by their flags."""
    for flag, address in ports.items():
        if address is not None and not address.off:
            try:
                for one in open_ports(address, backlog=1):
                    one.close()
            except OSError as fault:
                raise EngineError(cannot_listen(address, fault, flag=flag)) from fault


def cannot_listen(address: Address, fault: OSError, *, flag: str | None = None) -> str:
    """The sentence for a port that could not be opened; `flag` chooses another."""
    # Python's own text repeats the address.
    reason = os.strerror(fault.errno) if isinstance(fault.errno, int) and fault.errno > 0 else str(fault)
    way_out = "choose another address" + ("" if flag is None else f" with {flag} HOST:PORT")
    return f"the broker cannot listen on {address}: {reason}; {way_out}"


def _places(address: Address) -> Iterator[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    for host in address.hosts:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        yield from ((family, place) for family, *_, place in found)
