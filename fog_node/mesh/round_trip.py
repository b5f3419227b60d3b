"""Measures how far another node is, by messages that mean nothing to it."""

import asyncio
import contextlib
import time

from broker.errors import LinkFull
from broker.links.link import Link
from fog_node.placement.answers import Figures


class RoundTrip:
    """The way to another node and back; one measurement is under way at a time.

    `topic` is one that the other node reads and does nothing about. `figures` is told of each.
    """

    def __init__(self, link: Link, topic: str, figures: Figures) -> None:
        self._link = link
        self._topic = topic
        self._figures = figures
        self._under_way = False
        self._since = 0.0

    def measure(self) -> None:
        """Begin to measure, if the other broker can be reached now."""
        if self._under_way or not self._link.connected:
            return
        began = time.monotonic()

        def acknowledged(done: asyncio.Future[None]) -> None:
            self._under_way = False
            if not done.cancelled() and done.exception() is None and began > self._since:
                self._figures.measured(time.monotonic() - began)

        with contextlib.suppress(LinkFull):
            sent = self._link.send(self._topic, b"")
            self._under_way = True
            sent.add_done_callback(acknowledged)

    def anew(self) -> None:
        """Forget what is under way: what took long while a node was away does not tell how far it is."""
        self._since = time.monotonic()
