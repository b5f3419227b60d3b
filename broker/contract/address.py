"""Where a program listens, as its users write it."""

from dataclasses import dataclass

from broker.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on; port 0 lets the system pick a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `HOST:PORT`, `[IPv6]:PORT` or `:PORT` (localhost). Raises SettingsError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise SettingsError(f"{text!r} is not HOST:PORT, such as localhost:1883; port 0 takes a free one")
        return cls(host.strip("[]") or "localhost", int(port))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts it stands for: `localhost` is both 127.0.0.1 and ::1."""
        # The table of hosts of many a machine has one of the two only, and clients try both.
        return ("127.0.0.1", "::1") if self.host == "localhost" else (self.host,)

    @property
    def off(self) -> bool:
        """Whether nothing is to listen."""
        return self == OFF

    def __str__(self) -> str:
        if self.off:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


OFF = Address("off", 0)
