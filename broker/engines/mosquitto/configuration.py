"""Writes mosquitto.conf. No I/O: settings in, text out."""

from dataclasses import dataclass
from pathlib import Path

from broker.engines.own import OwnBroker
from broker.programs.sockets import socket_path
from broker.security.certificates import TlsFiles

_TROUBLE = (
    *("log_dest stderr", "log_type error", "log_type warning"),
    *("log_timestamp false", "connection_messages false"),
)

_DENIALS = "log_type debug"
"""Mosquitto logs a denied publish only together with every packet, as messages for debugging."""


@dataclass(frozen=True, kw_only=True)
class MosquittoSettings(OwnBroker):
    """What only a Mosquitto is told. Limits that the embedded broker has too have its names.

    `folder` is for its store, its configuration and the socket by which the node is its client.
    `autosave` is how many seconds of what persistent sessions hold may be lost when it dies. The `window`
    is wide, because nothing passes what a client will never acknowledge, and bounded by `window_bytes` too.
    With `plugin`, Mosquitto's own for dynamic security, `passwords` and `rules` tell who may do what.
    """

    folder: Path
    plugin: Path | None = None
    allow_anonymous: bool = True
    window: int = 1_000
    window_bytes: int = 1024 * 1024
    queue_messages: int = 100_000
    queue_bytes: int = 128 * 1024 * 1024
    session_expiry: str = "7d"
    autosave: int = 30

    @property
    def socket(self) -> Path:
        """The node's own listener: of this user alone, without TCP's delays."""
        # In the file its path ends at a blank.
        return socket_path(self.folder, "node.sock", unfit=" ")

    @property
    def passwords(self) -> Path:
        """Names and hashed passwords, the node's own among them."""
        return self.folder / "passwords"

    @property
    def rules(self) -> Path:
        """The access rules of each name."""
        return self.folder / "rules.json"


def configuration(settings: MosquittoSettings) -> str:
    """The text of the configuration file."""
    lines = [
        "# Written by the node at each start.",
        "per_listener_settings false",
        # Or Mosquitto, started as root, would take a user's rights who may not read this folder.
        "user root",
        f"allow_anonymous {str(settings.allow_anonymous).lower()}",
        # Without it a request and its answer cost 44 ms: Nagle's algorithm and the delayed acknowledgement.
        "set_tcp_nodelay true",
        "persistence true",
        f"persistence_location {settings.folder}/",
        f"autosave_interval {settings.autosave}",
        f"persistent_client_expiration {settings.session_expiry}",
        f"max_packet_size {settings.max_packet}",
        f"max_inflight_messages {settings.window}",
        f"max_inflight_bytes {settings.window_bytes}",
        f"max_queued_messages {settings.queue_messages}",
        f"max_queued_bytes {settings.queue_bytes}",
        *_TROUBLE,
    ]
    if settings.keepalive_maximum:
        lines.append(f"max_keepalive {settings.keepalive_maximum}")
    if settings.plugin is not None:
        lines += [
            _DENIALS,
            f"password_file {settings.passwords}",
            f"plugin {settings.plugin}",
            f"plugin_opt_config_file {settings.rules}",
        ]
    lines += ["", f"listener 0 {settings.socket}"]
    for address, protocol, secured in (
        (settings.listen, "mqtt", False),
        (settings.websocket, "websockets", False),
        (settings.listen_tls, "mqtt", True),
        (settings.websocket_tls, "websockets", True),
    ):
        if address is None:
            continue
        for host in address.hosts:
            lines += [
                "",
                f"listener {address.port} {host}",
                f"protocol {protocol}",
                f"max_connections {settings.connections}",
            ]
            if secured:
                lines += _encryption(settings.tls)
    return "\n".join(lines) + "\n"


def _encryption(tls: TlsFiles) -> list[str]:
    assert tls.cert is not None
    lines = [f"certfile {tls.cert.absolute()}", f"keyfile {(tls.key or tls.cert).absolute()}"]
    if tls.require and tls.ca is not None:
        # Without them Mosquitto asks for no certificate, and a password is needed.
        lines += [f"cafile {tls.ca.absolute()}", "require_certificate true", "use_identity_as_username true"]
    # The lowest version, not the only one.
    return [*lines, "tls_version tlsv1.2"]
