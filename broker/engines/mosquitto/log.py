"""Reads Mosquitto's log: what it denied is counted and logged, what is wrong is passed on."""

import re
from collections.abc import Iterable

import structlog

log = structlog.get_logger()

_OF_NO_INTEREST = (
    b"Sending ",
    b"Received ",
    b"No will message",
    b"Will message",
    b"\t",
    # The node's own connection is by a unix socket, which has no such thing.
    b"Warning: Unable to set TCP_NODELAY",
)
_DENIED = re.compile(
    r"Denied PUBLISH from (?P<client>.*) \(d\d, q\d, r\d, m\d+, '(?P<topic>.*?)(?:', \.\.\.|$)"
)
_LOGGED = 200
"""Characters of a line, or a name in it, that are logged: clients choose them."""


class MosquittoLog:
    """What one Mosquitto has said; `denied` counts the publishes that its users may not make."""

    def __init__(self) -> None:
        self.denied = 0

    def take(self, lines: Iterable[bytes]) -> None:
        """Read some lines."""
        for line in lines:
            if line and not line.startswith(_OF_NO_INTEREST):
                self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        denied = _DENIED.match(line)
        if denied is None:
            log.warning("mosquitto", said=line[:_LOGGED])
        else:
            self.denied += 1
            log.info("publish_denied", client=denied["client"][:_LOGGED], topic=denied["topic"][:_LOGGED])
