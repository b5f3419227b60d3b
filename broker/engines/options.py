"""What every program that runs the embedded broker can be told of it: ports, users, TLS, limits."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from broker.contract.address import OFF, Address
from broker.contract.identity import Role
from broker.engines.embedded.access import Access, AllowAll, UserAccess
from broker.engines.embedded.settings import EmbeddedSettings
from broker.engines.own import OwnBroker
from broker.engines.ports import check_free
from broker.errors import SettingsError
from broker.mqtt.kinds import V5, V31, V311
from broker.security.certificates import TlsFiles

TOPIC_ALLOWANCE = 64 * 1024
"""Bytes that a packet may have beside its payload, so that a payload too large is still answered."""


def address(given: str | Address) -> Address:
    """Read an option's address. Typer passes the default through too. Raises typer.BadParameter."""
    try:
        return given if isinstance(given, Address) else Address.parse(given)
    except SettingsError as fault:
        raise typer.BadParameter(str(fault)) from fault


def address_or_off(given: str | Address) -> Address:
    """As `address`; `off` is nowhere."""
    return OFF if str(given) == "off" else address(given)


Listen = Annotated[
    Address,
    typer.Option(
        parser=address_or_off,
        metavar="HOST:PORT|off",
        help="Where MQTT clients connect; port 0 takes a free one.",
    ),
]

_ASKED = {"3": frozenset((V31, V311)), "5": frozenset((V5,))}


def _versions(asked: str) -> frozenset[int]:
    """Read `--mqtt-versions`. Raises SettingsError."""
    known = [_ASKED.get(one.strip()) for one in asked.split(",")]
    if None in known:
        raise SettingsError(f"--mqtt-versions {asked!r} names no version of MQTT; it is 3, 5 or 3,5")
    return frozenset().union(*(one for one in known if one))


@dataclass(frozen=True, kw_only=True)
class ListenOptions:
    """Where the broker listens, whom it lets in, and what it allows each."""

    listen: Listen = Address("localhost", 1883)
    ws: Annotated[
        Address | None,
        typer.Option(
            parser=address,
            metavar="HOST:PORT",
            help="Where MQTT over WebSockets is served; off unless given.",
        ),
    ] = None
    listen_tls: Annotated[
        Address | None,
        typer.Option(
            parser=address, metavar="HOST:PORT", help="Where MQTT over TLS is served; needs --cert."
        ),
    ] = None
    ws_tls: Annotated[
        Address | None,
        typer.Option(parser=address, metavar="HOST:PORT", help="As --ws, over TLS; needs --cert."),
    ] = None
    cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The certificate of TLS listeners and links, PEM.")
    ] = None
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The key of --cert, PEM without a password.")
    ] = None
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The authority whose certificates clients and other brokers may have, PEM."
        ),
    ] = None
    require_certificate: Annotated[
        bool,
        typer.Option("--require-certificate", help="Let nobody in on TLS without a certificate of --ca."),
    ] = False
    users: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The users file; `fog-broker user add` writes it."),
    ] = None
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Let in clients that name no user.")
    ] = False
    max_connections: Annotated[int, typer.Option(min=1, help="Connections at once.")] = 20_000
    max_connections_per_address: Annotated[
        int, typer.Option(min=1, help="Connections at once from one address.")
    ] = 5_000
    connect_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that a connection has to say who it is.")
    ] = 10.0
    max_keepalive: Annotated[
        int,
        typer.Option(
            min=0, max=65_535, help="The longest keepalive, in seconds; 0 takes any, and none at all."
        ),
    ] = 0
    max_subscriptions: Annotated[int, typer.Option(min=1, help="Subscriptions of one client.")] = 1_000
    max_topic_bytes: Annotated[
        int, typer.Option(min=64, max=65_535, help="The longest topic or filter, in bytes.")
    ] = 4_096
    max_topic_levels: Annotated[
        int, typer.Option(min=8, max=200, help="The most levels of a topic or filter.")
    ] = 32
    max_inflight: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_535,
            help="Messages on their way to a client at once: 20 by itself, 1,000 with Mosquitto.",
        ),
    ] = None
    max_retained: Annotated[int, typer.Option(min=0, help="Retained messages in all.")] = 10_000
    mqtt_versions: Annotated[
        str,
        typer.Option(metavar="N,…", help="The versions of MQTT that are served: 3 is 3.1 and 3.1.1, 5 is 5."),
    ] = "3,5"

    def __post_init__(self) -> None:
        _versions(self.mqtt_versions)
        if not self.runs_a_broker:
            return
        if self.cert is None and (self.listen_tls or self.ws_tls):
            raise SettingsError(
                "--listen-tls and --ws-tls need --cert FILE and --key FILE; `fog-broker cert node` makes both"
            )
        if self.require_certificate and self.ca is None:
            raise SettingsError("--require-certificate needs --ca FILE, the authority that signs them")
        if not any((not self.listen.off, self.listen_tls, self.ws, self.ws_tls)):
            raise SettingsError("--listen is off and nothing else listens; give --listen-tls HOST:PORT")
        if not self._knows_users and not self.allow_anonymous:
            self._refuse_open_ports()

    @property
    def runs_a_broker(self) -> bool:
        """Whether the broker that these settings are for is run by this program."""
        return True

    @property
    def _knows_users(self) -> bool:
        return self.users is not None

    @property
    def _way_to_users(self) -> str:
        return (
            f"add one with `fog-broker user add NAME --role {Role.DEVICE} --users FILE` and give --users FILE"
        )

    def _refuse_open_ports(self) -> None:
        known = self.require_certificate and self.ca is not None
        ports = [self.listen, self.ws, *(() if known else (self.listen_tls, self.ws_tls))]
        for address in ports:
            if address is not None and not address.off and not _is_loopback(address.host):
                raise SettingsError(
                    f"{address} can be reached from elsewhere and there are no users: {self._way_to_users},"
                    " or let everybody in with --allow-anonymous"
                )

    def check_ports(self) -> None:
        """Raise EngineError where a port of a broker of our own is taken: before anything is started."""
        if self.runs_a_broker:
            check_free(
                {
                    "--listen": self.listen,
                    "--listen-tls": self.listen_tls,
                    "--ws": self.ws,
                    "--ws-tls": self.ws_tls,
                }
            )

    def first_listener(self) -> Address:
        """Where the broker listens that other programs are told of: without TLS, where it does that."""
        plain = None if self.listen.off else self.listen
        return plain or self.listen_tls or self.ws or self.ws_tls or self.listen

    def tls_files(self) -> TlsFiles:
        """The certificate, its key, and the authority."""
        return TlsFiles(cert=self.cert, key=self.key, ca=self.ca, require=self.require_certificate)

    def access(self) -> Access:
        """Who may do what: everybody everything without users and certificates. Raises SettingsError."""
        if self.users is None and not self.require_certificate:
            return AllowAll()
        return UserAccess(self.users, allow_anonymous=self.allow_anonymous)

    def own_broker(self, max_payload: int) -> OwnBroker:
        """What any engine is told whose broker is run here."""
        return OwnBroker(
            listen=None if self.listen.off else self.listen,
            websocket=self.ws,
            listen_tls=self.listen_tls,
            websocket_tls=self.ws_tls,
            tls=self.tls_files(),
            max_packet=max_payload + TOPIC_ALLOWANCE,
            connections=self.max_connections,
            keepalive_maximum=self.max_keepalive,
            window=self.max_inflight or OwnBroker.window,
        )

    def embedded_settings(self, *, store: Path | None = None, max_payload: int) -> EmbeddedSettings:
        """What the embedded broker is told."""
        return EmbeddedSettings(
            **vars(self.own_broker(max_payload)),
            store=store,
            connections_per_address=self.max_connections_per_address,
            connect_timeout=self.connect_timeout,
            subscriptions=self.max_subscriptions,
            topic_bytes=self.max_topic_bytes,
            topic_levels=self.max_topic_levels,
            retained_messages=self.max_retained,
            versions=_versions(self.mqtt_versions),
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
