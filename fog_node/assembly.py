"""Puts the parts of a node together, from its settings and its topology; starts none of them.

Each part is made after the parts that it calls. One circle is left: the workers and the other nodes call the
listener, the listener calls the router, and the router calls the workers and the other nodes. So the listener
is made before them, and is given the router when that is made.
"""

import random
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict

import structlog

from broker.contract.engine import Engine
from broker.contract.topics import CLOUD, Weight
from broker.links.link import Link
from broker.links.outbox import Outbox
from broker.namesakes import Namesakes
from broker.programs.kept_file import KeptFile
from broker.programs.machine import folder_mark
from broker.programs.version import program_version
from broker.storage.group_commit import GroupCommit
from fog_node.announcer import Announcer, last_will
from fog_node.clockwork import Clockwork
from fog_node.dispatcher import Dispatcher
from fog_node.engines import shares
from fog_node.execution.all_workers import AllWorkers
from fog_node.execution.application.door import ApplicationDoor
from fog_node.execution.application.queue import ApplicationQueue
from fog_node.execution.executor import Executor, ExecutorSettings
from fog_node.execution.ownership import Ownership
from fog_node.execution.pools import Pools
from fog_node.execution.task_versions import TaskVersions
from fog_node.home_assistant import HomeAssistant
from fog_node.infrastructure.door import door_socket, ticket_prefix
from fog_node.inspection.inspection import Inspection
from fog_node.intake.acceptance import Acceptance
from fog_node.intake.firings import Firings
from fog_node.intake.submissions import Intake
from fog_node.jobs.books import Bookkeeper
from fog_node.jobs.limits import DeviceLimits
from fog_node.jobs.open_jobs import OpenJobs
from fog_node.jobs.waits import Estimate
from fog_node.journal.journal import Journal
from fog_node.mesh.advertised import Advertised
from fog_node.mesh.gateways import Gateways
from fog_node.mesh.neighbourhood import Neighbourhood
from fog_node.mesh.peer import Peer, PeerListener
from fog_node.placement import load_policy
from fog_node.placement.answers import CloudFigures, Figures, NeighbourFigures
from fog_node.placement.board import Board
from fog_node.placement.decision_log import decision_log
from fog_node.placement.estimates import Estimates
from fog_node.placement.experience import Experience
from fog_node.placement.here import Here
from fog_node.placement.placer import Placer
from fog_node.placement.policies.bound import bound
from fog_node.placement.surroundings import Surroundings
from fog_node.replies.endings import Endings
from fog_node.replies.progress import ProgressTeller
from fog_node.replies.replies import Replies
from fog_node.routing.destinations import Destinations
from fog_node.routing.listener import Listener
from fog_node.routing.router import Router
from fog_node.rules.announcing import Announcing
from fog_node.rules.rulebook import Rulebook
from fog_node.scatter.scatter import Scatter
from fog_node.settings import NodeSettings
from fog_node.state import StateReport
from fog_node.topology import Topology
from fog_tasks.declaration.registry import Registry
from fog_tasks.redis_url import shown
from fog_tasks.reporting.reports import Finishing, Waiting

log = structlog.get_logger()

NODES_SHARE = 2
"""One part in so many of `--max-backlog` is what a single other node may have open."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files in which a node keeps what must not be lost."""

    journal: Journal
    outboxes: GroupCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a node that node.py starts, asks and stops. `mark` tells it from its namesakes."""

    mark: str
    namesakes: Namesakes
    engine: Engine
    journal: Journal
    dispatcher: Dispatcher
    clockwork: Clockwork
    jobs: OpenJobs
    limits: DeviceLimits
    router: Router
    endings: Endings
    replies: Replies
    pools: Pools
    executor: Executor
    door: ApplicationDoor | None
    versions: TaskVersions
    neighbourhood: Neighbourhood
    cloud: Peer | None
    gateways: Gateways | None
    announcer: Announcer
    estimates: Estimates
    home_assistant: HomeAssistant
    inspection: Inspection


class Limits(TypedDict):
    """What `DeviceLimits` is told."""

    rate: float
    burst: int
    open: int
    open_of_a_node: int


def device_limits(settings: NodeSettings) -> Limits:
    """The limits of devices, and of other nodes, that some settings ask for."""
    return Limits(
        rate=settings.max_rate,
        burst=settings.max_burst,
        open=settings.max_open_per_device,
        open_of_a_node=max(1, settings.max_backlog // NODES_SHARE),
    )


class Assembly:
    """Makes the parts; `files` are open, and `namesakes` knows the number of this life."""

    def __init__(
        self, settings: NodeSettings, topology: Topology, files: Files, namesakes: Namesakes
    ) -> None:
        self._settings = settings
        self._topology = topology
        self._files = files
        self._namesakes = namesakes
        # Nodes whose data folders were copied from one are two to others, whatever they are called.
        self._mark = folder_mark(settings.folder, files.journal.life)

    def parts(
        self,
        registry: Registry,
        engine: Engine,
        estimates: Estimates,
        redis_url: str,
        *,
        versions: TaskVersions,
        on_duty: Callable[[Waiting | Finishing], None],
        rulebook: Rulebook,
        on_stall: Callable[[Weight], None],
    ) -> Parts:
        """All the parts, around an engine that is not started yet.

        `on_duty` is called with workers that wait to begin or take no more, `on_stall` with the weight of
        those that have stopped consuming.
        """
        node = self._settings.name
        books, replies = Bookkeeper(), Replies(engine)

        def estimate(weight: Weight, kind: str) -> Estimate:
            known = estimates.of(weight, kind)
            # A guess is no longer than the task may run at all.
            return known if known.seen else estimates.of(weight, kind, timeout=registry.timeout(kind))

        pools = Pools(self._settings.workers, estimate)
        limits = DeviceLimits(**device_limits(self._settings))
        jobs = OpenJobs(books, limits, most=self._settings.max_backlog)
        known = Surroundings(
            node=node, estimates=estimates, board=Board(), has_cloud=self._topology.cloud is not None
        )
        here = Here(pools, estimates, registry.timeout)
        endings, progress = Endings(self._files.journal, jobs, replies), ProgressTeller(node, replies)
        listener = Listener(node, here=here, experience=Experience(known), endings=endings, progress=progress)
        executor = Executor(
            ExecutorSettings(node=node, redis_url=redis_url),
            registry,
            pools,
            on_report=listener.reported,
            on_hello=versions.hear,
            on_duty=on_duty,
            on_stall=on_stall,
            ownership=self._ownership(),
        )
        door = self._door(registry, listener)
        policy = load_policy(self._topology.policy)
        link, cloud = self._cloud(known, listener)
        neighbourhood = self._neighbourhood(known, listener)
        placer = Placer(
            policy if door is None else bound(policy, door.takes),
            here=here,
            known=known,
            neighbours=neighbourhood,
            cloud=cloud,
            chance=random.Random(),  # noqa: S311 - a policy's dice are no secret
            note=decision_log(),
        )
        destinations = Destinations(
            placer,
            listener,
            progress,
            workers=executor if door is None else AllWorkers(executor, door),
            mesh=neighbourhood,
            cloud=cloud,
        )
        scatter = Scatter(
            node,
            registry,
            placer,
            destinations=destinations,
            listener=listener,
            progress=progress,
            chance=random.Random(),  # noqa: S311 - names of parts are no secret
        )
        router = Router(
            placer,
            listener,
            progress,
            destinations=destinations,
            scatter=scatter,
            shared_workers=self._topology.address == CLOUD and self._settings.redis is not None,
        )
        listener.onward = router
        acceptance = Acceptance(
            node,
            journal=self._files.journal,
            jobs=jobs,
            placer=placer,
            router=router,
            neighbours=neighbourhood,
            cloud=cloud,
            replies=replies,
            progress=progress,
            rulebook=rulebook,
        )
        intake = Intake(node, registry, max_payload=self._settings.max_payload)
        home_assistant = HomeAssistant(
            self._announcing(),
            KeptFile(self._settings.folder / "announced.json", lost="telling Home Assistant anew"),
            replies,
        )
        firings = Firings(
            node,
            rulebook=rulebook,
            intake=intake,
            acceptance=acceptance,
            announce=home_assistant.tell,
            echoes=engine.echoes,
            shares=shares(self._settings, self._topology),
        )
        replies.onward = firings
        dispatcher = Dispatcher(
            intake=intake,
            acceptance=acceptance,
            firings=firings,
            jobs=jobs,
            here=here,
            router=router,
            listener=listener,
            replies=replies,
        )
        return Parts(
            mark=self._mark,
            namesakes=self._namesakes,
            engine=engine,
            journal=self._files.journal,
            dispatcher=dispatcher,
            clockwork=Clockwork(rulebook, firings.tick),
            jobs=jobs,
            limits=limits,
            router=router,
            endings=endings,
            replies=replies,
            pools=pools,
            executor=executor,
            door=door,
            versions=versions,
            neighbourhood=neighbourhood,
            cloud=cloud,
            gateways=self._gateways(link, cloud, known, neighbourhood),
            announcer=Announcer(
                self._state_report(registry, pools, books, estimates),
                engine=engine,
                cloud=link,
                redis_away=lambda: executor.redis_away,
                further_trouble=partial(self._further_trouble, versions, door),
            ),
            estimates=estimates,
            home_assistant=home_assistant,
            inspection=Inspection(
                placer, registry, known=known, neighbourhood=neighbourhood, cloud=cloud, rules=rulebook
            ),
        )

    def _state_report(
        self, registry: Registry, pools: Pools, books: Bookkeeper, estimates: Estimates
    ) -> StateReport:
        return StateReport(
            node=self._settings.name,
            version=program_version(),
            birth=self._namesakes.birth,
            is_cloud=self._topology.address == CLOUD,
            url=self._topology.advertise,
            tasks=registry,
            queues=pools,
            books=books,
            estimates=estimates,
        )

    def _announcing(self) -> Announcing:
        # Gateways that share their tasks answer for each other: Home Assistant sees one.
        node = None if shares(self._settings, self._topology) else self._settings.name
        return Announcing(node or CLOUD, node, program_version())

    def _ownership(self) -> Ownership | None:
        given = self._settings.redis
        return None if given is None else Ownership(self._namesakes, shown(given))

    def _further_trouble(self, versions: TaskVersions, door: ApplicationDoor | None) -> list[str]:
        now = time.monotonic()
        of_door = [] if door is None else door.trouble(now)
        return versions.trouble(now) + self._namesakes.trouble(now) + of_door

    def _door(self, registry: Registry, listener: Listener[Any]) -> ApplicationDoor | None:
        application = self._settings.application()
        if application is None:
            return None
        return ApplicationDoor(
            door_socket(self._settings.folder),
            registry,
            ApplicationQueue(ticket_prefix(self._mark), application.about.outstanding),
            first_key=self._files.journal.next_key(),
            on_report=listener.reported,
        )

    def _neighbourhood(self, known: Surroundings, listener: PeerListener) -> Neighbourhood:
        def make_peer(name: str, link: Link) -> Peer:
            return self._peer(name, link, listener, NeighbourFigures(known.board, name))

        return Neighbourhood(self._namesakes, known.board, self._link, make_peer)

    def _gateways(
        self, link: Link | None, cloud: Peer | None, known: Surroundings, neighbourhood: Neighbourhood
    ) -> Gateways | None:
        if link is None or cloud is None:
            return None
        advertised = Advertised(self._settings.name, neighbourhood) if self._topology.discover else None
        return Gateways(link, cloud, known.cloud, self._namesakes, advertised=advertised)

    def _cloud(self, known: Surroundings, listener: PeerListener) -> tuple[Link | None, Peer | None]:
        node, url = self._settings.name, self._topology.cloud
        if url is None:
            return None, None
        link = Link(
            url,
            node=f"{node}-{self._mark}",
            will=last_will(node, self._namesakes.birth),
            tls=self._settings.tls_files(),
            mqtt=self._settings.mqtt,
        )
        return link, self._peer(CLOUD, link, listener, CloudFigures(known.cloud))

    def _peer(self, name: str, link: Link, listener: PeerListener, figures: Figures) -> Peer:
        return Peer(
            name,
            link,
            self._outbox(name),
            node=self._settings.name,
            journal_life=self._mark,
            listener=listener,
            figures=figures,
            lease=self._topology.lease,
        )

    def _link(self, url: str) -> Link:
        """A link to a neighbour; without a will, which its broker would tell as if it were its own."""
        # Two URLs may lead to one broker: a name of its own for each, or one link would end the other.
        client = f"{self._settings.name}-{self._mark}-{zlib.crc32(url.encode()):08x}"
        return Link(url, node=client, tls=self._settings.tls_files(), mqtt=self._settings.mqtt)

    def _outbox(self, link: str) -> Outbox:
        outbox = Outbox(self._files.outboxes, link, self._files.journal.clock.now)
        left = outbox.load()
        if left:
            log.info("outbox_recovered", link=link, messages=left)
        return outbox
