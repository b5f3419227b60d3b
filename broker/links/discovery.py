"""Finds brokers on the local network, and lets them be found: mDNS, service `_mqtt._tcp.local.`.

Any MQTT program finds the broker this way; a TXT record tells nodes of this project from other
brokers. A node that listens on loopback alone speaks and hears mDNS on loopback alone.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import ifaddr
from zeroconf import Error as ZeroconfError
from zeroconf import NonUniqueNameException, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from broker.contract.address import Address

SERVICE = "_mqtt._tcp.local."
PROTOCOL = "1"
"""The version of the topics between nodes; nodes of another version are left alone."""

REQUEST_TIMEOUT = 3.0
"""Seconds that a service gets to tell where it is."""

MAX_PENDING = 256
"""Services that wait to be asked where they are; more than that are no neighbours."""


@dataclass(frozen=True, slots=True)
class Found:
    """A node that answers on the network, and the URL of its broker; `mark` tells it from its namesakes."""

    node: str
    url: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A node that has said goodbye, that is elsewhere now, or whose record has run out."""

    node: str
    url: str


def interfaces(listen: Address) -> list[str]:
    """The addresses of this machine at which a broker on `listen` can be reached."""
    if listen.host not in ("0.0.0.0", "::", ""):  # noqa: S104
        return [_resolve(listen.host)]
    return [ip for ip in all_addresses() if not ipaddress.ip_address(ip).is_loopback]


def all_addresses() -> list[str]:
    """All IPv4 addresses of this machine, where a device looks for a node."""
    return [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)] or [
        "127.0.0.1"
    ]


def _resolve(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return socket.gethostbyname(host)


class Discovery:
    """mDNS on some of this machine's addresses, for as long as its context lasts."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = list(addresses)
        self._announced: AsyncServiceInfo | None = None

    async def __aenter__(self) -> Self:
        self._mdns = AsyncZeroconf(interfaces=self._addresses)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._announced is not None:
            with contextlib.suppress(ZeroconfError, OSError):
                await (await self._mdns.async_unregister_service(self._announced))
        await self._mdns.async_close()

    async def announce(self, node: str, port: int, mark: str, *, tls: bool = False) -> None:
        """Let a node be found. Its `mark` keeps it apart from others of its name. Raises OSError."""
        own = f"{_label(node)}-{mark}"
        info = AsyncServiceInfo(
            SERVICE,
            f"{own}.{SERVICE}",
            port=port,
            parsed_addresses=self._addresses,
            # A host name of its own: several nodes may run on one machine, each at its own addresses.
            server=f"{own}.local.",
            properties={"node": node, "protocol": PROTOCOL, "tls": str(int(tls)), "mark": mark},
        )
        try:
            await (await self._mdns.async_register_service(info))
        except NonUniqueNameException as fault:
            raise OSError(f"{own} is announced by mDNS already") from fault
        self._announced = info

    async def changes(self) -> AsyncGenerator[Found | Lost, None]:
        """The nodes that come and go, this one included, until the context ends."""
        noticed: asyncio.Queue[tuple[str, ServiceStateChange]] = asyncio.Queue(MAX_PENDING)

        def notice(*, name: str, state_change: ServiceStateChange, **_: object) -> None:
            with contextlib.suppress(asyncio.QueueFull):
                noticed.put_nowait((name, state_change))

        browser = AsyncServiceBrowser(self._mdns.zeroconf, SERVICE, handlers=[notice])
        known: dict[str, Found] = {}
        try:
            while True:
                name, change = await noticed.get()
                if change is ServiceStateChange.Removed:
                    if name in known:
                        yield _lost(known.pop(name))
                elif (found := await _ask(self._mdns.zeroconf, name)) is not None:
                    if known.get(name, found).url != found.url:
                        yield _lost(known[name])
                    known[name] = found
                    yield found
        finally:
            await browser.async_cancel()


async def find(addresses: Sequence[str], timeout: float) -> Found | None:
    """The first node that answers on the network, or None after `timeout` seconds."""
    async with Discovery(addresses) as discovery:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                async for change in discovery.changes():
                    if isinstance(change, Found):
                        return change
    return None


async def _ask(mdns: Zeroconf, name: str) -> Found | None:
    info = AsyncServiceInfo(SERVICE, name)
    if not await info.async_request(mdns, timeout=1e3 * REQUEST_TIMEOUT):
        return None
    properties = info.decoded_properties
    node = properties.get("node")
    if not node or properties.get("protocol") != PROTOCOL or info.port is None:
        return None
    addresses = sorted(info.parsed_scoped_addresses(), key=lambda one: ":" in one)
    if not addresses:
        return None
    host = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    scheme = "mqtts" if properties.get("tls") == "1" else "mqtt"
    return Found(node, f"{scheme}://{host}:{info.port}", properties.get("mark") or "")


def _lost(found: Found) -> Lost:
    return Lost(found.node, found.url)


def _label(node: str) -> str:
    """A node's name as a part of one label of a DNS name, which is at most 63 bytes long."""
    return node.replace(".", "-").encode()[:50].decode(errors="ignore")
