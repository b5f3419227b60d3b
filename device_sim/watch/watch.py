"""The commands that only listen: `watch` and `nodes`."""

import asyncio
import contextlib
import os
import sys
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live

from broker.contract.mqtt_version import MqttVersion
from broker.contract.topics import StateTopic, parse
from broker.errors import BadTopic
from device_sim.client.listener import listen
from device_sim.running import until
from device_sim.watch.views import NodeBook, plain_line, styled_line, watch_filters


async def watch(
    url: str,
    *,
    device: str | None,
    states: bool,
    count: int | None,
    stop: asyncio.Event,
    mqtt: MqttVersion | None = None,
) -> None:
    """Write what is published at a node, until `stop` is set or `count` messages were written.

    On a terminal a table of the nodes stays below the messages; on a pipe each message is a line.
    """
    console = Console(highlight=False)
    with _LiveView(console) if console.is_terminal else _PipeView() as view:
        counting = _Counting(view, count, stop)
        await until(stop, listen(url, watch_filters(device, states=states), counting.on_message, mqtt=mqtt))


async def collect_nodes(
    url: str, *, seconds: float, stop: asyncio.Event, mqtt: MqttVersion | None = None
) -> NodeBook:
    """Learn about the nodes for some seconds: states and catalogs are retained, or sent each second."""
    book = NodeBook()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until(stop, listen(url, book.filters, book.add, mqtt=mqtt))
    return book


class _View(Protocol):
    def show(self, topic: str, payload: bytes) -> None: ...


class _PipeView:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        # The reader of the pipe may be gone: then Python must not try to write the rest at exit.
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def show(self, topic: str, payload: bytes) -> None:
        sys.stdout.write(plain_line(topic, payload) + "\n")
        sys.stdout.flush()


class _LiveView:
    def __init__(self, console: Console) -> None:
        self._book = NodeBook()
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, topic: str, payload: bytes) -> None:
        if _is_state(topic):
            self._book.add(topic, payload)
            self._live.update(self._book.table(tasks=False), refresh=True)
        else:
            self._live.console.print(styled_line(topic, payload), soft_wrap=True)


class _Counting:
    def __init__(self, view: _View, count: int | None, stop: asyncio.Event) -> None:
        self._view = view
        self._left = count
        self._stop = stop

    def on_message(self, topic: str, payload: bytes) -> None:
        if self._stop.is_set():
            return
        try:
            self._view.show(topic, payload)
        except BrokenPipeError:
            self._stop.set()
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                self._stop.set()


def _is_state(topic: str) -> bool:
    try:
        return isinstance(parse(topic), StateTopic)
    except BadTopic:
        return False
