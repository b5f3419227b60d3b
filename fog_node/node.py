"""A node from its start to its end: start the parts, serve, drain, stop."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn
from urllib.parse import urlsplit

import structlog

from broker.contract.address import Address
from broker.errors import StorageError
from broker.links.discovery import Discovery, interfaces
from broker.links.outbox import opened_store
from broker.namesakes import Namesakes
from broker.programs.kept_file import KeptFile
from broker.programs.pid_file import PidFile
from broker.programs.processes import Supervisor
from fog_node.assembly import Assembly, Files, Parts
from fog_node.engines import filters, make_engine
from fog_node.errors import StartError
from fog_node.execution.task_versions import TaskVersions
from fog_node.infrastructure.background import Background
from fog_node.infrastructure.birth import next_birth
from fog_node.infrastructure.crews import Crews
from fog_node.infrastructure.door import door_program, door_snapshot
from fog_node.infrastructure.services import Infrastructure, locked, save_snapshot
from fog_node.inspection.control import Answer, AskReload, Question
from fog_node.inspection.control import serve as serve_control
from fog_node.journal.journal import Journal
from fog_node.mesh.local_network import link_to_found
from fog_node.names import keep_name
from fog_node.placement.estimates import Estimates
from fog_node.reloading import Reloading, Work
from fog_node.settings import NodeSettings
from fog_node.topology import Topology

log = structlog.get_logger()

AWAITED_INTERVAL = 5.0
"""Seconds between two lines about workers that have not answered yet."""

REPLIES_TIMEOUT = 3.0
"""Seconds that the last tasks and outcomes get to be written, acknowledged and sent when the node stops."""

FORGET_INTERVAL = 60.0
ESTIMATES_INTERVAL = 30.0
DISCOVERY_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Orders:
    """How a node is told to stop, where `stop` lets it drain and `now` ends the drain, and to `reload`."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    now: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain came to: how many jobs ended during it, and how many stay in the journal."""

    finished: int
    journaled: int


class Node:
    """One fog or cloud node with its tasks. Used once: `run` starts it, serves, and stops it.

    `read_settings` reads its settings again, when it is told to reload.
    """

    def __init__(
        self,
        settings: NodeSettings,
        topology: Topology,
        work: Work,
        *,
        read_settings: Callable[[], NodeSettings],
    ) -> None:
        self._settings = settings
        self._read_settings = read_settings
        self._topology = topology
        self._work = work
        self._folder = settings.folder
        self._estimates_file = KeptFile(self._folder / "estimates.json", lost="learning anew")

    async def run(self, orders: Orders, *, on_ready: Callable[[str], None]) -> Drained:
        """Serve until told to stop; `on_ready` is called with the broker's URL once everything answers.

        Raises WeighbridgeError where a part cannot be started.
        """
        with locked(self._folder):
            keep_name(self._folder, self._settings.name)
            birth = next_birth(self._folder, time.time_ns() // 1_000_000)
            namesakes = Namesakes(self._settings.name, birth)
            async with contextlib.AsyncExitStack() as stack:
                synchronous = self._settings.synchronous
                pid_file = PidFile(self._folder / "processes.json")
                opening = Journal.opened(
                    self._folder / "journal.db", synchronous=synchronous, copied=bool(pid_file.copied_from)
                )
                journal = await stack.enter_async_context(opening)
                outboxes = await stack.enter_async_context(
                    opened_store(self._folder / "outbox.db", now=journal.clock.now(), synchronous=synchronous)
                )
                background = await stack.enter_async_context(Background())
                infrastructure = Infrastructure(self._settings, background, pid_file)
                redis_url = await infrastructure.start_redis()
                clock = journal.clock.now
                engine = make_engine(self._settings, self._topology, pid_file, namesakes, clock=clock)
                estimates = Estimates()
                self._estimates_file.load(estimates.load)
                assembly = Assembly(self._settings, self._topology, Files(journal, outboxes), namesakes)
                crews = Crews(self._settings, pid_file, redis_url)
                parts = assembly.parts(
                    self._work.registry,
                    engine,
                    estimates,
                    redis_url,
                    versions=TaskVersions(self._work.files),
                    on_duty=crews.hear,
                    rulebook=self._work.rulebook,
                    on_stall=crews.restart,
                )
                infrastructure.bereaved = crews.bereaved = parts.executor
                background.start(crews.run(self._settings, self._work.files), name="workers")
                stack.push_async_callback(engine.stop)
                background.start(parts.executor.run(), name="executor")
                self._open_door(parts, background, pid_file)
                await background.watch(self._workers_answer(parts, crews))
                reloading = Reloading(
                    self._settings,
                    self._topology,
                    self._read_settings,
                    work=self._work,
                    parts=parts,
                    crews=crews,
                )
                return await self._serve(parts, background, reloading, orders, on_ready)

    def _open_door(self, parts: Parts, background: Background, pid_file: PidFile) -> None:
        application = self._settings.application()
        if application is None or parts.door is None:
            return
        snapshot = save_snapshot(self._work.files, door_snapshot(self._folder))
        program = door_program(self._settings, application, parts.mark, snapshot)
        background.start(parts.door.run(), name="celery door")
        background.start(Supervisor(program, pid_file).run(), name="celery door's program")

    async def _serve(
        self,
        parts: Parts,
        background: Background,
        reloading: Reloading,
        orders: Orders,
        on_ready: Callable[[str], None],
    ) -> Drained:
        background.start(_forget(parts.journal, reloading), name="forget")
        if parts.gateways is not None:
            parts.gateways.start(self._settings.name)
            background.start(parts.gateways.run(), name="cloud")
        # Before the broker takes anything in, or a task sent again would not be known.
        recovered = parts.dispatcher.recover()
        if recovered:
            log.info("jobs_recovered", jobs=recovered)
        again = parts.endings.send_again()
        if again:
            log.info("outcomes_sent_again", outcomes=again)
        background.start(parts.endings.watch_unsent(), name="unsent outcomes")
        background.start(parts.neighbourhood.run(), name="neighbourhood")
        for url in self._topology.neighbours:
            parts.neighbourhood.add(url)
        background.start(parts.versions.run(), name="versions")
        background.start(self._keep_estimates(parts.estimates), name="estimates")
        # Last of all that a task needs: whoever can connect is served.
        rulebook = self._work.rulebook
        heard = filters(self._settings, self._topology, rulebook)
        await parts.engine.start(parts.dispatcher.receive, heard, rulebook.retained_filters)
        background.start(parts.replies.run(), name="replies")
        parts.home_assistant.follow(rulebook.rules)
        background.start(parts.home_assistant.run(), name="home assistant")
        ticking = background.start(parts.clockwork.run(), name="clockwork")
        announcing = background.start(parts.announcer.run(), name="announcer")
        if self._topology.discover:
            background.start(self._discover(parts), name="discovery")
        background.start(serve_control(self._folder, partial(_answer, parts, reloading)), name="control")
        background.start(reloading.run(orders.reload), name="reloading")
        on_ready(parts.engine.url)
        await background.watch(orders.stop.wait())
        await background.watch(reloading.close())
        # What it would start now would only wait for the next life.
        await background.end(ticking)
        drained = await background.watch(_drain(parts, reloading.settings.drain, orders.now))
        # The announcer ends first, or it would say once more that the node is here.
        await background.end(announcing)
        parts.announcer.leave()
        self._estimates_file.save(parts.estimates.dump())
        parts.home_assistant.save()
        await parts.neighbourhood.stop()
        if parts.cloud is not None:
            await parts.cloud.stop()
        await parts.endings.leave()
        return drained

    async def _discover(self, parts: Parts) -> NoReturn:
        """Be found by mDNS, and link to whom is found; without a network, try again later."""
        url, name = urlsplit(parts.engine.url), self._settings.name
        listener = self._settings.first_listener()
        if self._settings.runs_a_broker:
            # A broker may have a file of its own that says where it listens.
            listener = Address.parse(url.netloc)
        while True:
            try:
                async with Discovery(interfaces(listener)) as discovery:
                    # One with WebSockets alone is no broker to others, and looks for them all the same.
                    if url.scheme in {"mqtt", "mqtts"}:
                        tls = url.scheme == "mqtts"
                        await discovery.announce(name, url.port or 1883, parts.mark, tls=tls)
                    await link_to_found(discovery, parts.neighbourhood, parts.namesakes, parts.mark)
            except OSError as fault:
                log.warning("discovery_failed", reason=str(fault), next_try_s=DISCOVERY_PAUSE)
            await asyncio.sleep(DISCOVERY_PAUSE)

    async def _keep_estimates(self, estimates: Estimates) -> NoReturn:
        while True:
            await asyncio.sleep(ESTIMATES_INTERVAL)
            await asyncio.to_thread(self._estimates_file.save, estimates.dump())

    async def _workers_answer(self, parts: Parts, crews: Crews) -> None:
        """Wait until workers of each weight have answered: first they import the user's modules."""
        checking = asyncio.ensure_future(parts.executor.check())
        began, limit = time.monotonic(), self._settings.start_timeout or math.inf
        try:
            while True:
                left = began + limit - time.monotonic()
                if (await asyncio.wait({checking}, timeout=min(AWAITED_INTERVAL, left)))[0]:
                    return await checking
                silent = ", ".join(weight for weight, load in parts.pools.load().items() if not load.slots)
                silent = silent or "Celery"
                if crews.fail:
                    raise StartError(
                        f"the {silent} workers end before they answer; the log above says what they met"
                    )
                if left <= AWAITED_INTERVAL:
                    raise StartError(
                        f"the {silent} workers did not answer within {limit:g} s: the log above says what"
                        " they wait for; --start-timeout gives them more time"
                    )
                log.info("workers_awaited", weights=silent, for_s=round(time.monotonic() - began))
        finally:
            checking.cancel()


async def _drain(parts: Parts, seconds: float, now: asyncio.Event) -> Drained:
    """Take nothing more in, and let what runs finish; what waits stays in the journal."""
    before = len(parts.jobs)
    await parts.engine.pause()
    parts.executor.hold()
    if parts.door is not None:
        parts.door.hold()
    log.info("draining", running=parts.pools.in_flight, open=before, at_most_s=seconds)
    finishing = asyncio.ensure_future(parts.executor.wait_ended())
    stopping = asyncio.ensure_future(now.wait())
    try:
        await asyncio.wait({finishing, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        finishing.cancel()
        stopping.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REPLIES_TIMEOUT):
            # Or it would be sent again, and what has no id of its own would be a new task.
            await parts.dispatcher.settle()
            await parts.endings.settle()
            await parts.replies.drain()
    return Drained(finished=before - len(parts.jobs), journaled=len(parts.jobs))


async def _forget(journal: Journal, reloading: Reloading) -> NoReturn:
    while True:
        with contextlib.suppress(StorageError):
            await journal.forget(reloading.settings.remember)
        await asyncio.sleep(FORGET_INTERVAL)


async def _answer(parts: Parts, reloading: Reloading, question: Question) -> Answer:
    """Answer the node's own user."""
    if isinstance(question, AskReload):
        return await reloading.reload(new_workers=question.new_workers)
    return parts.inspection.answer(question)
