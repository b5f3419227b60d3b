"""The acknowledgements one client waits for: they leave in order, each once its message is stored."""

from collections import deque
from collections.abc import Callable

from broker.contract.pending import Pending
from broker.contract.refusal import Refusal, Taken

Send = Callable[[int, int, Refusal | None], None]
"""Sends one: its kind (PUBACK or PUBREC), the packet identifier, and why the message was not taken on."""


class Acknowledgements:
    """Sends what is due through `send`; calls `fail`, and nothing more, if one could not be stored."""

    __slots__ = ("_fail", "_send", "_waiting")

    def __init__(self, send: Send, fail: Callable[[], None]) -> None:
        self._send = send
        self._fail = fail
        # Most clients never wait, and an empty deque is 600 bytes.
        self._waiting: deque[tuple[Taken, int, int]] | None = None

    def __len__(self) -> int:
        return len(self._waiting) if self._waiting is not None else 0

    def add(self, taken: Taken, kind: int, packet_id: int) -> None:
        """Acknowledge once `taken` is done and everything added before has been acknowledged."""
        if taken is None or isinstance(taken, Refusal):
            if self._waiting is None:
                self._send(kind, packet_id, taken)
            else:
                self._waiting.append((taken, kind, packet_id))
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append((taken, kind, packet_id))
        taken.add_done_callback(self._proceed)

    def clear(self) -> None:
        """Send nothing more."""
        self._waiting = None

    def _proceed(self, done: Pending) -> None:
        if not done.cancelled():
            # Asked for in any case, or asyncio complains of an exception that nobody looked at.
            done.exception()
        while self._waiting:
            taken, kind, packet_id = self._waiting[0]
            if taken is not None and not isinstance(taken, Refusal):
                if not taken.done():
                    return
                if taken.cancelled() or taken.exception() is not None:
                    self._fail()
                    return
                taken = taken.result()
            self._waiting.popleft()
            self._send(kind, packet_id, taken)
        self._waiting = None
