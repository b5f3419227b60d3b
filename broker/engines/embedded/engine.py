"""The engine of a fog node by itself: an MQTT broker inside the node's process."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

import structlog

from broker.contract.address import Address
from broker.contract.engine import Engine, Known, Receiver
from broker.contract.message import Message
from broker.engines.embedded.access import Access, AllowAll
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.counters import Counters
from broker.engines.embedded.hearing import Hearing
from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.output_commit import OutputCommit
from broker.engines.embedded.sessions.store import SessionStore
from broker.engines.embedded.settings import EmbeddedSettings
from broker.engines.embedded.sockets.descriptors import room_for
from broker.engines.embedded.sockets.listeners import Listeners
from broker.engines.embedded.sqlite_store import SqliteStore
from broker.engines.embedded.sys_topics import SysTopics
from broker.errors import EngineError, EngineUnavailable, StoreFailed
from broker.mqtt.passed_on import write_passed_on
from broker.running_time import RunningTime
from broker.security.certificates import ServerTls

log = structlog.get_logger()

SWEEP_INTERVAL = 0.5
"""Seconds between two looks for clients that have been silent for too long."""

HOUSEKEEPING_INTERVAL = 15.0
"""Seconds between two looks for expired sessions, and between two moves of the store's log."""

MAX_TOPIC_BYTES = 65_535
"""MQTT writes the length of a topic in two bytes."""


class EmbeddedEngine(Engine):
    """Listens, and carries messages between clients and the node.

    While it is paused, what clients publish is not taken in: with QoS 1 and 2 it stays unacknowledged,
    so that they send it again to whoever comes next, with QoS 0 it is dropped and counted. Who is
    connected goes on receiving and acknowledging; who connects is told that the server is unavailable.
    `clock` tells the running time, by which sessions and what waits in them grow old.
    """

    def __init__(
        self,
        settings: EmbeddedSettings,
        access: Access | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._settings = settings
        self._access = access or AllowAll()
        self._clock = clock or RunningTime().now
        self._running: _Running | None = None
        self._hearing: Hearing | None = None
        self.urls: tuple[str, ...] = ()

    async def start(self, receiver: Receiver, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        settings = self._settings
        room = room_for(settings.connections)
        if room < settings.connections // 2:
            log.info("few_connections", room=room, next_step="raise the limit of open files (ulimit -n)")
        if room < settings.connections:
            # A quarter stays free of what one address can take.
            most = min(settings.connections_per_address, max(1, room * 3 // 4))
            settings = replace(settings, connections=room, connections_per_address=most)
        self._running = running = _Running(settings, self._access, self._clock)
        self._hearing = hearing = Hearing(running.core, receiver)
        try:
            # Before the ports open: the first message of the first client may be the node's.
            await hearing.hear(filters, retained)
            # Wills that were due while no broker ran come before what clients say now.
            running.core.look_after()
            await self._open_ports(running)
        except BaseException:
            await self.stop()
            raise
        running.start_tasks()

    async def hear(self, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        if self._hearing is None:
            raise EngineUnavailable("the broker is not running")
        await self._hearing.hear(filters, retained)

    async def _open_ports(self, running: "_Running") -> None:
        settings, listeners = self._settings, running.listeners
        tls = running.tls.context if running.tls is not None else None
        urls = []
        for scheme, address, context, open_port in (
            ("mqtt", settings.listen, None, listeners.open_tcp),
            ("mqtts", settings.listen_tls, tls, listeners.open_tcp),
            ("ws", settings.websocket, None, listeners.open_websocket),
            ("wss", settings.websocket_tls, tls, listeners.open_websocket),
        ):
            if address is not None:
                port = await open_port(address, context)
                urls.append(f"{scheme}://{Address(address.host, port)}")
        self.urls = tuple(urls)

    async def pause(self) -> None:
        if self._running is not None:
            self._running.core.paused = True

    async def stop(self) -> None:
        running, self._running, self._hearing = self._running, None, None
        if running is not None:
            await running.stop()

    def publish(self, message: Message) -> asyncio.Future[None] | None:
        running = self._running
        if running is None:
            raise EngineUnavailable("the broker is not running")
        if len(message.topic.encode()) > MAX_TOPIC_BYTES:
            raise EngineError(f"a topic of more than {MAX_TOPIC_BYTES} bytes cannot be published to")
        born = self._clock()
        running.core.router.route(
            RoutedMessage(
                message.topic,
                message.payload,
                qos=message.qos,
                born=born,
                retain=message.retain,
                expires=math.inf if message.expiry is None else born + message.expiry,
                passed=write_passed_on(message),
            )
        )
        return running.output.finished()

    def reread(self) -> None:
        if self._running is not None:
            self._running.reread()

    def known(self) -> Known:
        return {} if self._running is None else self._running.known()

    @property
    def url(self) -> str:
        return next(iter(self.urls), "")

    @property
    def connected(self) -> bool:
        return self._running is not None

    @property
    def denied(self) -> int:
        return self.counters.dropped_denied

    @property
    def trouble(self) -> tuple[str, ...]:
        return () if self._running is None else self._running.trouble

    @property
    def counters(self) -> Counters:
        """What the broker has done since it started; all zero while it does not run."""
        return Counters() if self._running is None else self._running.core.counters


class _Running:
    """The parts of a broker that runs."""

    def __init__(self, settings: EmbeddedSettings, access: Access, clock: Callable[[], float]) -> None:
        self._on_disk = None if settings.store is None else SqliteStore(settings.store, self._schedule)
        self._store = self._on_disk or SessionStore()
        self.output = OutputCommit(self._store)
        self.core = BrokerCore(settings, access, self._store, running=clock, clock=time.monotonic)
        if self._on_disk is not None:
            self._on_disk.restore(self.core)
        self.tls: ServerTls | None = None
        if settings.listen_tls or settings.websocket_tls:
            self.tls = ServerTls(settings.tls)
        self.listeners = Listeners(self.core, self.output)
        self._tasks: list[asyncio.Task[NoReturn]] = []

    def start_tasks(self) -> None:
        """Look for silent clients and expired sessions, and report to `$SYS`, every so often from now on."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._sweep(), name="broker: keepalive"),
            loop.create_task(self._tidy(), name="broker: expired sessions"),
        ]
        if self.core.settings.sys_interval:
            self._tasks.append(loop.create_task(self._report(), name="broker: $SYS"))

    async def stop(self) -> None:
        """Close every connection, with its will, and keep what is to be kept."""
        # First, since the node that has stopped must not be handed the wills of those who are cut off now.
        self.core.router.hand_to(None, ())
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        try:
            await self.listeners.close()
        finally:
            self.core.access.close()
            try:
                self._store.close()
            except StoreFailed as fault:
                log.error("store_failed", reason=str(fault), next_step="stopping without it")

    def reread(self) -> None:
        """Use users and certificates as they are now; both or, with SettingsError, neither."""
        if self.tls is not None:
            self.tls.check()
        self.core.access.reread()
        if self.tls is not None:
            self.tls.reread()
        self._cut_off_changed()

    def known(self) -> Known:
        """The users and certificates in force."""
        files = {} if self.tls is None else self.tls.digests
        return {"user": dict(self.core.access.known()), "certificate file": files}

    @property
    def trouble(self) -> tuple[str, ...]:
        """What is wrong with its files and its subscribers, in sentences."""
        files = (*self.core.access.trouble, *(() if self.tls is None else self.tls.trouble))
        return (*files, *self.core.overflow.trouble())

    def _cut_off_changed(self) -> None:
        changed = self.core.access.changed()
        if changed:
            self.listeners.cut_off(changed)

    def _schedule(self) -> None:
        self.output.schedule()

    async def _sweep(self) -> NoReturn:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            self.core.look_after()
            self.listeners.sweep(time.monotonic())
            self._cut_off_changed()
            if self.tls is not None:
                self.tls.refresh()

    async def _tidy(self) -> NoReturn:
        while True:
            await asyncio.sleep(HOUSEKEEPING_INTERVAL)
            self.core.tidy()
            if self._on_disk is not None:
                await asyncio.to_thread(self._on_disk.checkpoint)

    async def _report(self) -> NoReturn:
        topics = SysTopics(self.core, now=time.monotonic())
        while True:
            topics.say(time.monotonic())
            await asyncio.sleep(self.core.settings.sys_interval)
