"""Messages that were published with QoS 1 and 2, until the broker has acknowledged them. No I/O."""

import asyncio
from collections import deque
from collections.abc import Iterator

from broker.contract.message import Message

_FIRST_ID, _LAST_ID = 3, 0xFFFF
"""Beyond the identifiers of what is said of subscriptions."""


class OutgoingMessage:
    """One message. `packet_id` is 0 until it is first sent. `released` says that only PUBCOMP is missing."""

    __slots__ = ("done", "message", "packet_id", "released")

    def __init__(self, message: Message, done: asyncio.Future[None]) -> None:
        self.message = message
        self.done = done
        self.packet_id = 0
        self.released = False


class Outgoing:
    """A window of messages on their way, and those that wait behind it, in the order of publishing."""

    def __init__(self, window: int) -> None:
        self._wanted = self._window = window
        self._on_way: dict[int, OutgoingMessage] = {}
        self._waiting: deque[OutgoingMessage] = deque()
        self._last_id = _LAST_ID

    def __len__(self) -> int:
        return len(self._on_way) + len(self._waiting)

    def add(self, message: Message, done: asyncio.Future[None]) -> None:
        """Let a message wait for its turn; `done` is the publisher's."""
        self._waiting.append(OutgoingMessage(message, done))

    def restart(self, *, receive_maximum: int, session_present: bool) -> None:
        """Begin with a new connection: everything is to be sent again, first what was on its way.

        A broker that has kept the session knows their packet identifiers; for another one they are new.
        """
        self._window = min(self._wanted, receive_maximum)
        again = list(self._on_way.values())
        self._on_way.clear()
        self._waiting.extendleft(reversed(again))
        if not session_present:
            for entry in self._waiting:
                entry.packet_id, entry.released = 0, False

    def next(self) -> tuple[OutgoingMessage, bool] | None:
        """Take the message that is to be sent now, and whether it was sent before; None when none may be."""
        waiting, on_way = self._waiting, self._on_way
        if not waiting or len(on_way) >= self._window:
            return None
        entry = waiting.popleft()
        again = entry.packet_id != 0
        if not again:
            entry.packet_id = self._new_id()
        on_way[entry.packet_id] = entry
        return entry, again

    def release(self, packet_id: int) -> None:
        """Note that the broker has a message of QoS 2 and that it is never to be sent again."""
        entry = self._on_way.get(packet_id)
        if entry is not None:
            entry.released = True

    def settle(self, packet_id: int, fault: Exception | None = None) -> None:
        """Be done with a message; one that is not known was settled before."""
        entry = self._on_way.pop(packet_id, None)
        if entry is None or entry.done.done():
            return
        if fault is None:
            entry.done.set_result(None)
        else:
            entry.done.set_exception(fault)

    def cancel(self) -> None:
        """Cancel all futures, and forget the messages."""
        for entry in self._entries():
            entry.done.cancel()
        self._on_way.clear()
        self._waiting.clear()

    def _entries(self) -> Iterator[OutgoingMessage]:
        yield from self._on_way.values()
        yield from self._waiting

    def _new_id(self) -> int:
        # What is sent again comes first and keeps its identifier: those on their way are all that are taken.
        chosen = self._last_id
        while True:
            chosen = chosen + 1 if chosen < _LAST_ID else _FIRST_ID
            if chosen not in self._on_way:
                self._last_id = chosen
                return chosen
