"""Keeps what a node has learned of its tasks over restarts. Losing it costs a few seconds of learning."""

from pathlib import Path

import structlog

from fog_node.placement.estimates import Estimates

log = structlog.get_logger()

MAX_BYTES = 4_000_000
"""A longer file was not written here."""


class EstimatesFile:
    """One file with the estimates of a node; written whole, then renamed, so that no half is ever read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = b""

    def load(self) -> Estimates:
        """What the last life learned, or nothing, where there is no file that can be read."""
        estimates = Estimates()
        try:
            if self._path.stat().st_size > MAX_BYTES or not estimates.load(self._path.read_bytes()):
                log.warning("estimates_unreadable", file=str(self._path), next_step="learning anew")
        except FileNotFoundError:
            pass
        except OSError as fault:
            log.warning("estimates_unreadable", reason=str(fault), next_step="learning anew")
        return estimates

    def save(self, estimates: Estimates) -> None:
        """Write what has changed; a full disk costs nothing but a warning."""
        latest = estimates.dump()
        if latest == self._written:
            return
        beside = self._path.with_suffix(".new")
        try:
            beside.write_bytes(latest)
            beside.replace(self._path)
        except OSError as fault:
            log.warning("estimates_not_written", reason=str(fault))
        else:
            self._written = latest
