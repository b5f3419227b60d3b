"""The acknowledgements one client waits for: they leave in order, each once its message is stored."""

from collections import deque
from collections.abc import Callable

from broker.contract.pending import Pending
from broker.contract.refusal import Refusal, Taken


class Acknowledgements:
    """Sends what is due through `send`; calls `fail`, and nothing more, if one could not be stored."""

    __slots__ = ("_fail", "_send", "_waiting")

    def __init__(self, send: Callable[[bytes], None], fail: Callable[[], None]) -> None:
        self._send = send
        self._fail = fail
        # Most clients never wait, and an empty deque is 600 bytes.
        self._waiting: deque[tuple[Pending | None, bytes]] | None = None

    def __len__(self) -> int:
        return len(self._waiting) if self._waiting is not None else 0

    def add(self, taken: Taken, packet: bytes) -> None:
        """Send `packet` once `taken` is done and everything added before has been sent."""
        # MQTT 3.1.1 has no word for a refusal.
        stored = None if isinstance(taken, Refusal) else taken
        if self._waiting is None:
            if stored is None:
                self._send(packet)
                return
            self._waiting = deque()
        self._waiting.append((stored, packet))
        if stored is not None:
            stored.add_done_callback(self._proceed)

    def clear(self) -> None:
        """Send nothing more."""
        self._waiting = None

    def _proceed(self, done: Pending) -> None:
        if not done.cancelled():
            # Asked for in any case, or asyncio complains of an exception that nobody looked at.
            done.exception()
        while self._waiting:
            stored, packet = self._waiting[0]
            if stored is not None and not stored.done():
                return
            if stored is not None and (stored.cancelled() or stored.exception() is not None):
                self._fail()
                return
            self._waiting.popleft()
            self._send(packet)
        self._waiting = None
