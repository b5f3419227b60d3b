"""Which filters a broker may know of a node with a lasting session, from one life of the node to the next."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from broker.errors import SettingsError
from broker.security.users import write_private

log = structlog.get_logger()


class KnownFilters:
    """A file with filters and their identifiers; without a path nothing is remembered.

    Losing it costs little: a broker goes on sending what nobody wants, and that is passed over.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written: dict[str, int] = {}

    def load(self) -> dict[str, int]:
        """What the last life wrote; nothing where there is no file that can be read."""
        if self._path is not None:
            try:
                self._written = msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as fault:
                log.warning("filters_unreadable", file=str(self._path), reason=str(fault))
        return dict(self._written)

    def keep(self, numbers: Mapping[str, int]) -> None:
        """Write them, if they have changed."""
        if self._path is None or numbers == self._written:
            return
        try:
            write_private(self._path, msgspec.json.encode(numbers).decode())
            self._written = dict(numbers)
        except SettingsError as fault:
            log.warning("filters_not_kept", reason=str(fault))
