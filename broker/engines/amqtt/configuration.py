"""What amqtt is told: its users' own file, or a plain configuration made from a node's options."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.engines.own import OwnBroker
from broker.errors import SettingsError
from broker.security.certificates import ServerTls

EVERYBODY = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


@dataclass(frozen=True, kw_only=True)
class AmqttSettings(OwnBroker):
    """Where amqtt listens, unless its own `file` says that.

    Of the bounds of any broker it knows `connections` alone, of each listener.

    `listeners_given` is whether somebody has chosen where: then the file must not say it too.
    """

    file: Path | None = None
    listeners_given: bool = False
    connect_timeout: float = 10.0

    def configuration(self) -> dict[str, Any]:
        """What amqtt reads. Raises SettingsError."""
        if self.file is None:
            return {"listeners": self._listeners(), "plugins": EVERYBODY}
        told = _read(self.file)
        if "listeners" not in told:
            return {**told, "listeners": self._listeners()}
        if self.listeners_given:
            raise SettingsError(
                f"both {self.file} and the options say where to listen: take `listeners` out of the file, or"
                " give no --listen, --listen-tls, --ws and --ws-tls"
            )
        return told

    def _listeners(self) -> dict[str, Any]:
        tls: dict[str, Any] = {"ssl": True, "certfile": self.tls.cert, "keyfile": self.tls.key}
        if self.tls.ca is not None:
            tls["cafile"] = self.tls.ca
        if self.listen_tls or self.websocket_tls:
            # amqtt does not say what is wrong with a certificate.
            ServerTls(self.tls)
        listeners: dict[str, Any] = {
            # The others have its values where they have none: one that listens would lend them too much.
            "default": {"bind": None, "max_connections": self.connections}
        }
        for name, address, more in (
            ("plain", self.listen, {"type": "tcp"}),
            ("tls", self.listen_tls, {"type": "tcp", **tls}),
            ("websocket", self.websocket, {"type": "ws"}),
            ("websocket-tls", self.websocket_tls, {"type": "ws", **tls}),
        ):
            if address is not None:
                # It takes an IPv6 address without its brackets.
                listeners[name] = {"bind": f"{address.host}:{address.port}", **more}
        return listeners


def _read(path: Path) -> dict[str, Any]:
    # Whoever has no such file does not load it.
    import yaml  # noqa: PLC0415

    try:
        told = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise SettingsError(
            f"--amqtt-config {path} cannot be read: {' '.join(str(fault).split())}"
        ) from fault
    if not isinstance(told, dict):
        raise SettingsError(f"--amqtt-config {path} has no keys such as `listeners` and `plugins`")
    return told
