"""Reads what a private Redis says: its own story is left out, what is wrong is passed on."""

import re
from collections.abc import Iterable

import structlog

log = structlog.get_logger()

_PREFIX = re.compile(r"\d+:(signal-handler \(\d+\)|\w \d+ \w+ \d+ [\d:.]+ [.*#-]) ")

_STORY = re.compile(
    r"(oO0OoO0OoO0Oo )?(Redis|Valkey) (is starting|version=|is now ready to exit)"
    r"|Configuration loaded|Server initialized|User requested shutdown|Received SIGTERM"
    # Both are about saving to disk, which this Redis never does.
    r"|WARNING:? (Memory overcommit|You have Transparent Huge Pages|overcommit_memory)",
    re.IGNORECASE,
)

_LONGEST = 1_000
"""Characters of a line that are logged."""


def pass_on(lines: Iterable[bytes]) -> None:
    """Log those of some lines that a person may want to know."""
    for line in lines:
        said = _PREFIX.sub("", line.decode(errors="replace")).strip()
        if said and not _STORY.match(said):
            log.warning("redis", said=said[:_LONGEST])
