"""Ports: which addresses are opened, and what is said of those that cannot be."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from broker.contract.address import Address
from broker.engines.ports import check_free, open_ports
from broker.errors import EngineError


@contextlib.contextmanager
def opened(address: Address) -> Iterator[list[tuple[str, int]]]:
    """The hosts and ports that were opened."""
    ports = open_ports(address, backlog=1)
    try:
        yield [one.getsockname()[:2] for one in ports]
    finally:
        for one in ports:
            one.close()


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def test_localhost_is_both_families_on_one_port() -> None:
    """Whatever the machine's table of hosts says; without ::1 it is the other alone."""
    with opened(Address("localhost", 0)) as found:
        assert [host for host, _ in found] == ["127.0.0.1", "::1"][: 1 + has_ipv6()]
        assert len({port for _, port in found}) == 1


def test_an_address_alone_is_that_alone() -> None:
    with opened(Address("127.0.0.1", 0)) as found:
        assert [host for host, _ in found] == ["127.0.0.1"]


def test_what_the_machine_does_not_have_is_left_out_beside_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Address, "hosts", ("203.0.113.1", "127.0.0.1"))
    with opened(Address("of two", 0)) as found:
        assert [host for host, _ in found] == ["127.0.0.1"]


def test_an_address_that_is_not_here_is_refused() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        open_ports(Address("203.0.113.1", 0), backlog=1)


def test_a_taken_port_is_told_with_the_flag_that_chooses_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(EngineError, match=rf"{address}: Address already in use; .* --ws HOST:PORT"):
            check_free({"--listen": None, "--ws": address})


def test_ports_that_are_free_stay_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = Address("127.0.0.1", probe.getsockname()[1])
    check_free({"--listen": address, "--ws": None})
    check_free({"--listen": address, "--ws": None})
