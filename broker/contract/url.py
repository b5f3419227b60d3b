"""Where a broker is, as its users write it."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from broker.errors import SettingsError


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """Where a broker is and how to sign in: `mqtt[s]://[user:password@]host[:port]`.

    Of `mqtt+unix:///path`, a socket of this machine, `host` is the path.
    """

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = None
    unix: bool = False

    @classmethod
    def parse(cls, url: str) -> "BrokerUrl":
        """Read a broker's URL. Raises SettingsError."""
        refusal = SettingsError(
            f"broker URL {hide_password(url)!r} is not of the form mqtt://HOST[:PORT] or mqtts://HOST[:PORT]"
        )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as fault:
            raise refusal from fault
        username = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        if parts.scheme == "mqtt+unix" and parts.path:
            return cls(unquote(parts.path), 0, username=username, password=password, unix=True)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise refusal
        tls = parts.scheme == "mqtts"
        port = port or (8883 if tls else 1883)
        return cls(parts.hostname, port, tls=tls, username=username, password=password)

    @property
    def place(self) -> str:
        """The host and the port, for people."""
        return self.host if self.unix else f"{self.host}:{self.port}"


def hide_password(url: str) -> str:
    """A URL as it may be shown, whether it can be read as one or not."""
    return re.sub(r"(://[^/@:]*):.*@", r"\1:***@", url, count=1)
