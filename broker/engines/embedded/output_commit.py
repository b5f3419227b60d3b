"""Commits what one turn of the event loop changed, then lets its bytes out: nothing leaves unstored."""

import asyncio
from typing import Protocol

import structlog

from broker.engines.embedded.sessions.store import SessionStore
from broker.errors import StoreFailed

log = structlog.get_logger()


class Flushable(Protocol):
    """A wire with bytes that have not left."""

    def flush(self) -> None:
        """Let them leave."""

    def abort(self) -> None:
        """Discard them, and close."""


class OutputCommit:
    """Gathers what changed and what is to be sent, for the end of the turn.

    Rollback recovery calls this output commit: what a client is told must survive a crash.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._wires: list[Flushable] = []
        self._scheduled = False
        self._finished: list[asyncio.Future[None]] = []

    def add(self, wire: Flushable) -> None:
        """Flush a wire with the next turn."""
        self._wires.append(wire)
        self.schedule()

    def schedule(self) -> None:
        """Flush and commit with the next turn."""
        if not self._scheduled:
            self._scheduled = True
            # One turn later: a commit's outcomes and acknowledgements come in two turns, and leave together.
            self._loop.call_soon(self._loop.call_soon, self.flush)

    def finished(self) -> asyncio.Future[None] | None:
        """Done once everything that the store was told so far is kept, or fails with StoreFailed.

        None where there is nothing to keep.
        """
        if not self._store.dirty:
            return None
        self.schedule()
        done = self._loop.create_future()
        self._finished.append(done)
        return done

    @property
    def free(self) -> bool:
        """Whether bytes may leave before the turn ends: nothing is to be kept before them."""
        return not self._store.dirty

    def flush(self) -> None:
        """Commit, then let the bytes of all wires leave; where that fails, not a byte leaves."""
        self._scheduled = False
        # Emptied first: what wires send while they are flushed belongs to the next turn.
        wires, self._wires = self._wires, []
        finished, self._finished = self._finished, []
        fault = self._commit()
        for done in finished:
            if fault is not None and not done.done():
                done.set_exception(fault)
            elif not done.done():
                done.set_result(None)
        for wire in wires:
            if fault is None:
                wire.flush()
            else:
                wire.abort()

    def _commit(self) -> StoreFailed | None:
        try:
            if self._store.dirty:
                self._store.commit()
        except StoreFailed as fault:
            # Whoever was to be told that something is kept is cut off instead, and sends it again.
            log.error("store_failed", reason=str(fault), next_step="clients are cut off, and tried again")
            return fault
        return None
